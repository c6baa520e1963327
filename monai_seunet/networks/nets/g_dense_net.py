"""Densely connected networks over a group of quarter turns and mirrors: a classifier of patches and a U-Net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from monai_seunet.networks.group_unet import GroupLayers, GroupUNet
from monai_seunet.networks.layers.rotation.orientation import OrientationPool
from monai_seunet.networks.layers.sampling import pad_to_multiple
from monai_seunet.networks.unet.base import KeepsOptions, Network
from monai_seunet.networks.unet.ordinary import ScriptedAsOrdinary
from monai_seunet.networks.unet.stages import DenseStage


def dense_stages(layers: GroupLayers, growth: int, filters: int) -> Callable[[int, int, int, bool], nn.Module]:
    """Return the function `stage` of `UNetParts` for stages of `filters` dense layers and a transition."""

    def stage(inputs: int, outputs: int, level: int, first: bool) -> nn.Module:
        dense = DenseStage(
            outputs if first else inputs,
            filters,
            growth,
            layers.layer,
            layers.join(),
            lambda channels: layers.layer(channels, outputs, kernel_size=1),
        )
        return nn.Sequential(layers.layer(inputs, outputs, lifting=True), dense) if first else dense

    return stage


class GDenseNet(ScriptedAsOrdinary, KeepsOptions, Network):
    """G-DenseNet: classifier of patches that is invariant to quarter turns and mirrors.

    Shapes: x (B, C, H, W) -> logits (B, N).
    Invariant: the symmetries of the group do not change the logits, up to rounding, for even H and W.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels after the first filter and every transition, in all orientations.
        group: `p4` or `p4m`.
        growth: number of channels that each dense layer adds, in all orientations.
        layers: number of dense layers in a block.
        num_levels: number of dense blocks, five in the paper.
        group_pooling: `max` or `mean` over the orientations.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.

    References:
        Veeling et al., Rotation Equivariant CNNs for Digital Pathology, 2018.

    >>> GDenseNet(width=8, growth=8, num_levels=2)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 64,
        group: str = "p4m",
        growth: int = 32,
        layers: int = 1,
        num_levels: int = 5,
        group_pooling: str = "max",
        sizes: str = "pad",
    ) -> None:
        super().__init__(in_channels, out_channels, 2 ** (num_levels - 1), sizes)
        self.options = {"group_pooling": group_pooling}
        stage = dense_stages(GroupLayers(group), growth, layers)
        self.stages = nn.ModuleList(
            stage(width if level else in_channels, width, level, level == 0) for level in range(num_levels)
        )
        self.pool = nn.AvgPool2d(2)
        self.orientations = OrientationPool(group, group_pooling)
        self.head = nn.Linear(width // self.orientations.order, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of every patch."""
        self.check_image(x)
        self._check_sides_of(x)
        x = pad_to_multiple(x, self.stride).contiguous(memory_format=torch.channels_last)
        for level, stage in enumerate(self.stages):
            if level > 0:
                x = self.pool(x)
            x = stage(x)
        return self.head(self.orientations(x).mean((2, 3)))


class GDenseUNet(GroupUNet):
    """U-Net with the dense blocks of the G-DenseNet in encoder and decoder.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Invariant: the network commutes with the symmetries of its group up to rounding, for even H and W.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels after the first filter and after every dense block, in all orientations. It is the
            same at every resolution.
        group: `p4` or `p4m`.
        growth: number of channels that each dense layer adds, in all orientations.
        layers: number of dense layers in every block of the encoder, the bottleneck and the decoder.
        num_levels: number of resolutions, with the bottleneck.
        group_pooling: `max` or `mean` over the orientations.
        sizes: treatment of images with an odd side, `pad` or `exact`, see `GroupUNet`.

    References:
        Veeling et al., Rotation Equivariant CNNs for Digital Pathology, 2018; planned in section 7.2 of the rotation
        thesis.
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 2,
        width: int = 64,
        group: str = "p4m",
        growth: int = 32,
        layers: int = 2,
        num_levels: int = 5,
        group_pooling: str = "max",
        sizes: str = "pad",
    ) -> None:
        group_layers = GroupLayers(group)
        parts = group_layers.parts(
            group_pooling,
            stage=dense_stages(group_layers, growth, layers),
            pool=lambda: nn.AvgPool2d(2),
            up=lambda i, o: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            up_reduces=False,
        )
        super().__init__(in_channels, out_channels, [width] * num_levels, parts, sizes=sizes)
