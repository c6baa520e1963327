"""Residual U-Net over quarter turns by Chidester et al."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.group_unet import GroupLayers, GroupUNet
from monai_seunet.networks.unet.parts import ConvNormAct
from monai_seunet.networks.unet.stages import ResidualStage


class GUNet(GroupUNet):
    """G-U-Net: a 7 x 7 stem, residual blocks over the group, nearest upsampling, mean over the orientations.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Invariant: the network commutes with the symmetries of its group up to rounding, for even H and W. (The published
    code has a separate norm for every orientation, which breaks the symmetry in training.)
    Limits: the original has valid convolutions; these convolutions pad, so the prediction has the image's size.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level in all orientations; the factors of the levels are 1, 2, 4, 8, 8.
        group: `p4` as published, or `p4m`.
        group_pooling: `mean` as published, or `max`.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.

    References:
        Chidester et al., Enhanced Rotation-Equivariant U-Net for Nuclear Segmentation, 2019.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 128,
        group: str = "p4",
        group_pooling: str = "mean",
        sizes: str = "pad",
    ) -> None:
        layers = GroupLayers(group)

        def residual(inputs: int, outputs: int) -> ResidualStage:
            shortcut = nn.Identity() if inputs == outputs else layers.conv(inputs, outputs, kernel_size=1)
            second = ConvNormAct(layers.conv(outputs, outputs), layers.norm(outputs), nn.Identity())
            return ResidualStage(layers.layer(inputs, outputs), second, shortcut, nn.ReLU(inplace=True))

        def stage(inputs: int, outputs: int, level: int, first: bool) -> nn.Module:
            if not first:
                return residual(inputs, outputs)
            stem = layers.layer(inputs, outputs, kernel_size=7, lifting=True)
            return nn.Sequential(stem, residual(outputs, outputs))

        parts = layers.parts(
            group_pooling, stage=stage, up=lambda i, o: nn.Upsample(scale_factor=2, mode="nearest"), up_reduces=False
        )
        widths = [width * factor for factor in (1, 2, 4, 8, 8)]
        super().__init__(in_channels, out_channels, widths, parts, sizes=sizes)
