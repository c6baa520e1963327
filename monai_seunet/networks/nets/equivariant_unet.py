"""U-Net of the rotation thesis, plain and over a group of quarter turns and mirrors."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.group_unet import GroupLayers, GroupUNet


class EquivariantUNet(GroupUNet):
    """The baseline U-Net with group convolutions, norms that orientations share, and pooling over orientations.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Invariant: the network commutes with the symmetries of its group up to rounding, for even H and W.
    Limits: the thesis also pools over all pixels, which does not allow a segmentation; this network does not.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of every filter in all orientations (64 for each orientation in the thesis).
        group: `p4` or `p4m`.
        num_levels: number of resolutions, with the bottleneck.
        group_pooling: `max` or `mean` over the orientations.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.

    References:
        Rotation equivariant segmentation of nuclei, University of Tartu, sections 6.1 and 6.2.1; Cohen & Welling 2016.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        width: int = 256,
        group: str = "p4",
        num_levels: int = 6,
        group_pooling: str = "max",
        sizes: str = "pad",
    ) -> None:
        parts = GroupLayers(group).parts(
            group_pooling,
            depth=4,  # two double convolutions
            up=lambda i, o: nn.Upsample(scale_factor=2, mode="nearest"),
            up_reduces=False,
        )
        super().__init__(in_channels, out_channels, [width] * num_levels, parts, sizes=sizes)


class BaselineUNet(EquivariantUNet):
    """The thesis's U-Net of ordinary convolutions: five levels of four filters and a bottleneck, 64 channels each.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Limits: the network has no symmetry by construction.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of every filter.
        num_levels: number of resolutions, with the bottleneck.

    References:
        Rotation equivariant segmentation of nuclei, University of Tartu, section 6.1; Ronneberger et al., 2015.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, width: int = 64, num_levels: int = 6) -> None:
        super().__init__(in_channels, out_channels, width, "p1", num_levels)
