"""Base of U-Nets over a group of quarter turns and mirrors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d
from monai_seunet.networks.layers.rotation.orientation import (
    OrientationBatchNorm2d,
    OrientationConcat,
    OrientationPool,
    VectorHead,
)
from monai_seunet.networks.unet.base import KeepsOptions
from monai_seunet.networks.unet.parts import ConvNormAct, UNetParts
from monai_seunet.networks.unet.skeleton import UNetSkeleton


class GroupLayers:
    """Functions that make the layers of a network over one group; channels are counted over all orientations.

    Args:
        group: `p1` (an ordinary network), `p4` or `p4m`.
        norm: True for batch norm; False for filters with a bias.
    """

    def __init__(self, group: str, norm: bool = True) -> None:
        self.group, self.has_norm = group, norm

    def conv(self, in_channels: int, out_channels: int, kernel_size: int = 3, lifting: bool = False) -> GroupConv2d:
        """Make a filter over the group, or from the image to the group if `lifting`."""
        return GroupConv2d(in_channels, out_channels, self.group, kernel_size, lifting, bias=not self.has_norm)

    def norm(self, channels: int) -> nn.Module:
        """Make the norm after a filter."""
        return OrientationBatchNorm2d(channels, self.group) if self.has_norm else nn.Identity()

    def layer(self, in_channels: int, out_channels: int, kernel_size: int = 3, lifting: bool = False) -> ConvNormAct:
        """Make a filter with norm and nonlinearity."""
        conv = self.conv(in_channels, out_channels, kernel_size, lifting)
        return ConvNormAct(conv, self.norm(out_channels), nn.ReLU(inplace=True))

    def join(self) -> OrientationConcat:
        """Make a layer that concatenates maps by orientation."""
        return OrientationConcat(self.group)

    def head(self, in_channels: int, out_channels: int, pooling: str) -> nn.Sequential:
        """Make a head that pools the orientations, and applies an ordinary 1 x 1 convolution."""
        pool = OrientationPool(self.group, pooling)
        return nn.Sequential(pool, nn.Conv2d(in_channels // pool.order, out_channels, kernel_size=1))

    def direction_head(self, in_channels: int) -> VectorHead:
        """Make a head for vectors."""
        return VectorHead(in_channels, self.group)

    def parts(self, pooling: str, **changes: Any) -> UNetParts:
        """Return the parts of a U-Net of these layers, with changes by name."""
        usual: dict[str, Any] = {
            "conv": lambda i, o, level: self.conv(i, o),
            "first_conv": lambda i, o, level: self.conv(i, o, lifting=True),
            "norm": self.norm,
            "pointwise": lambda i, o: self.conv(i, o, kernel_size=1),
            "join": self.join,
            "head": lambda i, o: self.head(i, o, pooling),
        }
        return UNetParts(**(usual | changes))


class GroupUNet(KeepsOptions, UNetSkeleton):
    """U-Net of group convolutions: turning or mirroring the image turns or mirrors the prediction.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), any H and W.
    Invariant: the network commutes with the symmetries of its group up to rounding, before and after training, for even
    H and W.
    Limits: an odd side cannot be padded equally at both ends; see `sizes`.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        widths: number of channels of each level in all orientations, from fine to coarse; the last level is the
            bottleneck.
        parts: functions that make the layers.
        decoder_widths: number of channels of each level of the decoder, from fine to coarse; None for `widths`.
        sizes: treatment of images with an odd side: `pad` pads them with a warning, half a pixel off the symmetry;
            `exact` refuses them.

    Raises:
        InputError: a side is odd, and `sizes` is `exact`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        parts: UNetParts,
        decoder_widths: Sequence[int] | None = None,
        sizes: str = "pad",
    ) -> None:
        super().__init__(in_channels, out_channels, widths, parts, decoder_widths, sizes)
        pools = (module.mode for module in self.modules() if isinstance(module, OrientationPool))
        self.options = {"group_pooling": next(pools)}
