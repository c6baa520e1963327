"""Layers of U-Nets, and folding of norms into filters."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monai_seunet.networks.layers.recording import is_recorded

DIRECTION_CHANNELS = 2  # y and x of the direction to the centre of the object


@dataclass(frozen=True)
class UNetParts:
    """Functions that make the layers of a network for the skeleton.

    Args:
        conv: function of in_channels, out_channels and level, for filters that keep the size; level 0 is the finest.
            For inference the norm is folded into an `nn.Conv2d`, and into another filter by its method `folded`, which
            takes the norm and returns a filter.
        first_conv: the same function for the filter of the image; None for `conv`.
        norm: function of the channels, for norms.
        activation: function without arguments, for the nonlinearity after each norm.
        depth: number of filters in a stage.
        stage: function of in_channels, out_channels, level and `first` (True for the stage of the image), for stages;
            None for `depth` filters, each with norm and nonlinearity.
        pool: function without arguments, for layers that halve the resolution.
        pointwise: function of in_channels and out_channels, for the head and the 1 x 1 filter before the upsampling.
        upsample: function without arguments, for layers that double the resolution.
        up: function of in_channels and out_channels, for layers that double the resolution; None for `pointwise` and
            then `upsample`. The two commute, and the convolution costs a quarter in this order.
        up_reduces: True if `up` changes the number of channels; False if the stage after it does.
        join: function without arguments, for layers that join the channels of two maps.
        head: function of in_channels and out_channels, for the layer of the logits; None for `pointwise`.
        direction_head: function of in_channels, for the layer of the directions (y, x); None for two more channels of
            `head`.
    """

    conv: Callable[[int, int, int], nn.Module]
    first_conv: Callable[[int, int, int], nn.Module] | None = None
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    activation: Callable[[], nn.Module] = lambda: nn.ReLU(inplace=True)
    depth: int = 2
    stage: Callable[[int, int, int, bool], nn.Module] | None = None
    pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2)
    pointwise: Callable[[int, int], nn.Module] = lambda i, o: nn.Conv2d(i, o, kernel_size=1)
    upsample: Callable[[], nn.Module] = lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    up: Callable[[int, int], nn.Module] | None = None
    up_reduces: bool = True
    join: Callable[[], nn.Module] = lambda: Concat()
    head: Callable[[int, int], nn.Module] | None = None
    direction_head: Callable[[int], nn.Module] | None = None

    def make_stage(self, in_channels: int, out_channels: int, level: int, first: bool = False) -> nn.Module:
        """Make the layers of one resolution in the encoder or decoder."""
        if self.stage is not None:
            return self.stage(in_channels, out_channels, level, first)
        convs = [self.first_conv if first and self.first_conv else self.conv, *[self.conv] * (self.depth - 1)]
        inputs = [in_channels, *[out_channels] * (self.depth - 1)]
        blocks = (
            ConvNormAct(conv(channels, out_channels, level), self.norm(out_channels), self.activation())
            for conv, channels in zip(convs, inputs, strict=True)
        )
        return nn.Sequential(*blocks)

    def make_up(self, in_channels: int, out_channels: int) -> nn.Module:
        """Make the layers from a coarse map to the next finer level."""
        if self.up is not None:
            return self.up(in_channels, out_channels)
        return nn.Sequential(self.pointwise(in_channels, out_channels), self.upsample())

    def make_head(self, in_channels: int, out_channels: int, directions: bool) -> nn.Module:
        """Make the layers from features to logits, and to directions."""
        head = self.head or self.pointwise
        if not directions:
            return head(in_channels, out_channels)
        if self.direction_head is None:
            return head(in_channels, out_channels + DIRECTION_CHANNELS)
        return TwoHeads(head(in_channels, out_channels), self.direction_head(in_channels))


class TwoHeads(nn.Module):
    """Logits of the classes and then directions from the same features."""

    def __init__(self, classes: nn.Module, directions: nn.Module) -> None:
        super().__init__()
        self.classes, self.directions = classes, directions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate logits and directions."""
        return torch.cat([self.classes(x), self.directions(x)], dim=1)


class Concat(nn.Module):
    """Concatenate two maps by their channels."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Concatenate the maps."""
        return torch.cat([a, b], dim=1)


class ConvNormAct(nn.Module):
    """A filter, its norm and the nonlinearity."""

    def __init__(self, conv: nn.Module, norm: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply filter, norm and nonlinearity."""
        if self._folds():
            return self.act(self.conv.folded(self.norm)(x))  # type: ignore[operator]
        return self.act(self.norm(self.conv(x)))

    def forward_jointly(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Apply them to maps of several sizes; the norm has one statistic over all pixels of all maps."""
        ys = [self.conv(x) for x in xs]
        pixels = [y.permute(0, 2, 3, 1).flatten(0, 2) for y in ys]  # (B * H * W, C); no copy in channels_last
        as_image = torch.cat(pixels)[None, :, None].permute(0, 3, 1, 2)  # (1, C, all pixels, 1)
        joint = self.act(self.norm(as_image)).permute(0, 2, 3, 1).flatten(0, 2)
        shapes = [y.permute(0, 2, 3, 1).shape for y in ys]
        parts = joint.split([len(part) for part in pixels])
        return [part.view(shape).permute(0, 3, 1, 2) for part, shape in zip(parts, shapes, strict=True)]

    def _folds(self) -> bool:
        """Return whether the norm is folded on each call: not in training, in an export, or with hooks."""
        if not getattr(self.conv, "folds_on_the_way", False) or isinstance(self.norm, nn.Identity):
            return False
        if torch.is_grad_enabled():
            return False
        parts = (self.conv, self.norm)
        watched = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
        changing = any(part.training for module in parts for part in module.modules())
        return not (watched or changing or is_recorded())

    def fold(self) -> None:
        """Fold the norm in evaluation mode into the filter.

        A filter that has neither a method `folded` nor the `forward` of `nn.Conv2d` keeps its norm, because it may not
        use its weight and bias as they are.
        """
        if isinstance(self.norm, nn.Identity):
            return
        if hasattr(self.conv, "folded"):
            self.conv, self.norm = self.conv.folded(self.norm), nn.Identity()  # type: ignore[operator]
        elif type(self.conv).forward is nn.Conv2d.forward and isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()  # type: ignore[type-var]


Net = TypeVar("Net", bound=nn.Module)


def fold_norms(net: Net) -> Net:
    """Return a copy of a network in evaluation mode, with each norm folded into the filter before it."""
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        if isinstance(module, ConvNormAct):
            module.fold()
    return net.eval()  # folding made new layers
