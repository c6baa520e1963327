"""Small U-Net of the rotation thesis without norms, plain and over a group."""

from __future__ import annotations

from monai_seunet.networks.group_unet import GroupLayers, GroupUNet
from monai_seunet.networks.layers.rotation.group_conv import GroupConvTranspose2d
from monai_seunet.networks.layers.rotation.point_group import point_group


class SimplifiedGUNet(GroupUNet):
    """Simplified G-U-Net: two filters in each level and transposed convolutions, without norms.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Invariant: the network commutes with the symmetries of its group up to rounding, for even H and W.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level in all orientations. An orientation has 8 in the thesis, with 8,
            16, 36 and 64 in the encoder, 128 in the bottleneck, and 64, 32, 16 and 8 in the decoder.
        group: `p4` or `p4m`.
        group_pooling: `max` or `mean` over the orientations.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.

    References:
        Rotation equivariant segmentation of nuclei, University of Tartu, section 6.2.3.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        width: int = 32,
        group: str = "p4",
        group_pooling: str = "max",
        sizes: str = "pad",
    ) -> None:
        layers = GroupLayers(group, norm=False)
        parts = layers.parts(group_pooling, up=lambda i, o: GroupConvTranspose2d(i, o, group))
        order = point_group(group).order
        third = round(4.5 * width / order) * order
        down, up = [width, 2 * width, third, 8 * width, 16 * width], [width, 2 * width, 4 * width, 8 * width]
        super().__init__(in_channels, out_channels, down, parts, up, sizes)


class SimplifiedUNet(SimplifiedGUNet):
    """The simplified G-U-Net with ordinary convolutions.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level, 8 in the thesis.

    References:
        Rotation equivariant segmentation of nuclei, University of Tartu, section 7.2.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, width: int = 8) -> None:
        super().__init__(in_channels, out_channels, width, "p1")
