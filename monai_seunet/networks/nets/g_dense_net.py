"""Densely connected networks over a group: a classifier of patches, and a U-Net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from monai_seunet.networks.group_unet import GroupLayers, GroupUNet
from monai_seunet.networks.layers.rotation.orientation import OrientationPool
from monai_seunet.networks.layers.sampling import pad_to_multiple
from monai_seunet.networks.unet.base import KeepsOptions, Network
from monai_seunet.networks.unet.ordinary import ScriptedAsOrdinary
from monai_seunet.networks.unet.parts import fold_norms
from monai_seunet.networks.unet.stages import DenseStage


def dense_stages(layers: GroupLayers, growth: int, filters: int) -> Callable[[int, int, int, bool], nn.Module]:
    """Make stages (in_channels, out_channels, level, first) of `filters` dense layers and a transition."""

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
    """G-DenseNet: says of a patch what it shows, whatever way it is turned.

    Shapes: x (B, C, H, W) -> logits (B, N).
    Invariant: the logits do not change when the image is turned or mirrored by the group, up to rounding, where H and W
    are even.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        width: channels after the first filter and every transition, in all orientations.
        group: `p4` or `p4m`.
        growth: channels that each dense layer adds, in all orientations.
        layers: dense layers a block.
        num_levels: dense blocks, five in the paper.
        group_pooling: `max` or `mean` over the orientations.
        sizes: what becomes of images with an odd side, `pad` or `exact`.

    References:
        Veeling et al., Rotation Equivariant CNNs for Digital Pathology, 2018.
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
        """Logits of every patch."""
        self.check_image(x)
        self._check_sides_of(x)
        x = pad_to_multiple(x, self.stride).contiguous(memory_format=torch.channels_last)
        for level, stage in enumerate(self.stages):
            if level > 0:
                x = self.pool(x)
            x = stage(x)
        return self.head(self.orientations(x).mean((2, 3)))

    def folded(self) -> GDenseNet:
        """A copy for inference, with each norm folded into its filter: the same function, faster."""
        return fold_norms(self)


class GDenseUNet(GroupUNet):
    """The dense blocks of the G-DenseNet as encoder and decoder of a segmenter.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W).
    Invariant: commutes with the symmetries of its group, exactly, where H and W are even.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        width: channels after every transition, in all orientations.
        group: `p4` or `p4m`.
        growth: channels that each dense layer adds, in all orientations.
        layers: dense layers a block.
        num_levels: resolutions.
        group_pooling: `max` or `mean` over the orientations.
        sizes: what becomes of images with an odd side, `pad` or `exact`.

    References:
        Veeling et al., Rotation Equivariant CNNs for Digital Pathology, 2018, as the rotation thesis meant to use it
        (section 7.2).
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
