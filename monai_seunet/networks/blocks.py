"""The U-Net skeleton, written once: what a network is made of is handed to it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monai_seunet.networks.layers.sampling import crop_to_size, pad_to_multiple


@dataclass(frozen=True)
class UNetParts:
    """The layers that turn the skeleton into a network.

    Args:
        conv: (in_channels, out_channels, level) -> a filter that keeps the size; level 0 is the finest.
        first_conv: the same for the filter that sees the image; None for `conv`.
        norm: channels -> norm.
        pointwise: (in_channels, out_channels) -> a 1 x 1 convolution.
        pool: () -> halves the resolution.
        upsample: () -> doubles the resolution.
        activation: () -> the nonlinearity after each norm.
    """

    conv: Callable[[int, int, int], nn.Module]
    first_conv: Callable[[int, int, int], nn.Module] | None = None
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    pointwise: Callable[[int, int], nn.Module] = lambda i, o: nn.Conv2d(i, o, kernel_size=1)
    pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2)
    upsample: Callable[[], nn.Module] = lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    activation: Callable[[], nn.Module] = lambda: nn.ReLU(inplace=True)


class ConvNormAct(nn.Module):
    """A filter, its norm and the nonlinearity."""

    def __init__(self, conv: nn.Module, norm: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the three in turn."""
        if not torch.jit.is_scripting():
            if self._folds():
                return self._forward_folded(x)
        return self.act(self.norm(self.conv(x)))

    @torch.jit.unused
    def _folds(self) -> bool:
        """Whether the filter takes the norm in on the way: not where somebody trains, exports or listens in between."""
        if not hasattr(self.conv, "folded") or torch.is_grad_enabled():
            return False
        parts = (self.conv, self.norm)
        watched = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
        changing = any(part.training for module in parts for part in module.modules())
        return not (watched or changing or torch.compiler.is_exporting() or torch.jit.is_tracing())

    @torch.jit.unused
    def _forward_folded(self, x: torch.Tensor) -> torch.Tensor:
        fold: Callable[[nn.Module], nn.Module] = self.conv.folded  # type: ignore[assignment]
        return self.act(fold(self.norm)(x))

    @torch.jit.unused
    def fold(self) -> None:
        """Put the norm, as in evaluation, into the filter; a filter of ours says itself how."""
        if isinstance(self.norm, nn.Identity):
            return
        folded = getattr(self.conv, "folded", None)
        self.conv = folded(self.norm) if folded else fuse_conv_bn_eval(self.conv, self.norm)  # type: ignore[arg-type,type-var]
        self.norm = nn.Identity()


class UNetSkeleton(nn.Module):
    """Encoder, bottleneck and decoder with skips, two filters a stage.

    Shapes: x (B, C, H, W) -> (B', N, H, W), B' as the parts make it. Any H and W: the image is padded alike on both
    sides to a multiple of 2^(levels - 1), by its border, and the result is cropped back.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        widths: channels of each level, from fine to coarse; the last one is the bottleneck.
        parts: the layers.

    Raises:
        ValueError: where the image has another number of channels.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: Sequence[int], parts: UNetParts) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.stride = 2 ** (len(widths) - 1)
        levels = range(len(widths))
        first = parts.first_conv or parts.conv
        inputs = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _stage(parts, inputs[level], widths[level], level, parts.conv if level else first) for level in levels
        )
        self.reduce = nn.ModuleList(parts.pointwise(widths[level + 1], widths[level]) for level in levels[-2::-1])
        self.decoder = nn.ModuleList(
            _stage(parts, 2 * widths[level], widths[level], level, parts.conv) for level in levels[-2::-1]
        )
        self.pool, self.upsample = parts.pool(), parts.upsample()
        self.head = parts.pointwise(widths[0], out_channels)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Features at full resolution, before the head; H and W are multiples of the total stride."""
        skips: list[torch.Tensor] = []
        for stage in self.encoder:
            if len(skips) > 0:
                x = self.pool(x)
            x = stage(x)
            skips.append(x)
        skips.pop()
        for reduce, stage in zip(self.reduce, self.decoder):  # noqa: B905 (TorchScript knows no strict)
            # the 1 x 1 convolution commutes with the interpolation and costs a quarter before it
            x = self.upsample(reduce(x))
            x = stage(torch.cat([skips.pop(), x], dim=1))
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of every pixel."""
        return self.logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, compute the features, classify every pixel and crop."""
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"the network takes images (B, {self.in_channels}, H, W) and got shape {list(x.shape)}")
        height, width = x.shape[-2], x.shape[-1]
        x = pad_to_multiple(x, self.stride).contiguous(memory_format=torch.channels_last)
        return crop_to_size(self.head(self.features(x)), height, width)

    @torch.jit.unused
    def folded(self) -> UNetSkeleton:
        """A copy for inference, with each norm folded into its filter: the same function, faster."""
        net = copy.deepcopy(self).eval()
        for module in net.modules():
            if isinstance(module, ConvNormAct):
                module.fold()
        return net


def _stage(
    parts: UNetParts, in_channels: int, out_channels: int, level: int, first: Callable[[int, int, int], nn.Module]
) -> nn.Sequential:
    """Two filters, each with norm and nonlinearity."""
    return nn.Sequential(
        ConvNormAct(first(in_channels, out_channels, level), parts.norm(out_channels), parts.activation()),
        ConvNormAct(parts.conv(out_channels, out_channels, level), parts.norm(out_channels), parts.activation()),
    )
