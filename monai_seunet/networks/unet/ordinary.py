r"""Conversion of a trained network to ordinary convolutions, for programs without this package.

Scale groups never exchange data, so each becomes a separate U-Net. A mixture of separable filters
$F = \sum_{i+j \le N} \alpha_{ij} K_i \otimes K_j$ becomes a row filter, a 1 x 1 convolution and a column filter, or one
dense filter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import nn

from monai_seunet.fusion import fuse_outputs
from monai_seunet.networks.layers.gaussian.scale_conv import FoldedScaleConv2d
from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d, GroupConvTranspose2d, with_weights
from monai_seunet.networks.layers.rotation.orientation import OrientationConcat
from monai_seunet.networks.layers.sampling import mirrored
from monai_seunet.networks.layers.scale_groups import FoldedDense, FoldedGroups, FoldedSeparable
from monai_seunet.networks.layers.separable import basis_orders
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.parts import DIRECTION_CHANNELS


class OrdinaryNetwork(nn.Module):
    """A network for inference with folded norms; every filter is an `nn.Conv2d` or `nn.ConvTranspose2d`.

    Shapes: x (B, C, H, W), any H and W -> logits (B, S, N, H, W) with scale groups, (B, N, H, W) or (B, N) without;
    with fusion, probabilities (B, N, H, W) or (B, N). Directions are two more channels, unless they are left out.
    Invariant: equal to the network in evaluation mode up to rounding.
    Limits: `p_conf` uses all pixels within 128 pixels, which need context themselves: tiles need 192 pixels of context.
        `p_power` needs no context.

    Args:
        network: network of this package; it is not changed.
        fusion: fusion strategy; None for the logits of all groups.
        directions: whether to keep the directions of a network that gives them.
        first: module that changes the image (B, C, H, W) before the network, such as a normalisation.
    """

    def __init__(
        self,
        network: Network,
        fusion: str | None = None,
        directions: bool = True,
        first: nn.Module | None = None,
    ) -> None:
        super().__init__()
        folded = network.folded()
        self.grouped = folded.has_scale_groups
        groups = [folded.subset([k]) for k in range(folded.num_scales)] if self.grouped else [folded]
        parts = [_replace(group) for group in groups]
        self.parts = nn.ModuleList(_WithoutPadding(part) if hasattr(part, "full_logits") else part for part in parts)
        self.stride, self.in_channels = folded.stride, folded.in_channels
        self.fused, self.fusion = fusion is not None, fusion or ""
        self.left_out = DIRECTION_CHANNELS if folded.directions and not directions else 0
        self.direction_channels = DIRECTION_CHANNELS if folded.directions and directions else 0
        self.first = first
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits or fused probabilities."""
        if self.first is not None:
            x = self.first(x)
        height, width = x.shape[-2], x.shape[-1]
        # `pad_to_multiple` without branches on shapes, so a trace works for every size
        more_rows, more_columns = -height % self.stride, -width % self.stride
        top, left = more_rows // 2, more_columns // 2
        x = mirrored(mirrored(x, -2, top, more_rows - top), -1, left, more_columns - left)
        x = x.contiguous(memory_format=torch.channels_last)
        groups = torch.stack([part(x) for part in self.parts], dim=1)  # (B, S, N, ...)
        if self.left_out:
            groups = groups[:, :, : -self.left_out]
        if groups.dim() == 5:
            groups = groups[..., top : top + height, left : left + width]
        if not self.fused:
            return groups if self.grouped else groups[:, 0]
        # with one group every strategy returns that group; the mean is the cheapest
        return fuse_outputs(
            groups, groups.shape[2] - self.direction_channels, self.fusion if self.grouped else "arithmetic"
        )


class ScriptedAsOrdinary(nn.Module):
    """Gives `torch.jit.script` the ordinary form of a network, so its layers need not be scriptable.

    MONAI's `ckpt_export` and other programs script the network itself.
    """

    fusion: str | None = None

    def __prepare_scriptable__(self) -> nn.Module:
        """Return a trace of the ordinary form for images of any size; TorchScript uses it instead of this network."""
        return _Traced(OrdinaryNetwork(cast(Network, self), self.fusion))


class _Traced(nn.Module):
    """Wrapper of a trace, because `torch.jit.script` does not accept a trace from `__prepare_scriptable__`."""

    def __init__(self, network: OrdinaryNetwork) -> None:
        super().__init__()
        self.trace = trace_ordinary(network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.trace(x)


def trace_ordinary(network: OrdinaryNetwork) -> torch.jit.ScriptModule:
    """Trace a network in evaluation mode to TorchScript, for images of any size."""
    weight = next(network.parameters())
    image = torch.rand(1, network.in_channels, 2 * network.stride, 2 * network.stride).to(weight)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; no branch depends on the size of the image
        return torch.jit.trace(network, image, check_trace=False)


class _WithoutPadding(nn.Module):
    """A U-Net on an image that needs no padding."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.full_logits(x)  # type: ignore[operator]


class _OrientationConcat(nn.Module):
    """`OrientationConcat` without the memory format channels_last: other programs do not need it."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if self.order == 1:
            return torch.cat([a, b], dim=1)
        maps = [x.unflatten(1, [self.order, x.shape[1] // self.order]) for x in (a, b)]
        return torch.cat(maps, dim=2).flatten(1, 2)


def separable_as_ordinary(alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    """Convert `separable_conv` to one dense filter or to rows, mix and columns, whichever needs fewer multiplications.

    Args:
        alpha: mixing weights (number of basis filters, O, I).
        kernels: 1-D kernels (N + 1, taps) of order 0 to N.
        bias: bias (O,).
    """
    (size, taps), (_, outputs, inputs) = kernels.shape, alpha.shape
    separable = size * taps * (inputs + outputs) + size**2 * inputs * outputs
    form = _dense if taps**2 * inputs * outputs <= separable else _separable
    return form(alpha, kernels, bias)


def _dense(alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    basis = torch.stack([torch.outer(kernels[j], kernels[i]) for i, j in basis_orders(len(kernels) - 1)])
    return _conv(torch.einsum("noi,nyx->oiyx", alpha, basis), bias)


def _separable(alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor) -> nn.Sequential:
    (size, taps), (_, outputs, inputs) = kernels.shape, alpha.shape
    mix = alpha.new_zeros(size, outputs, inputs, size)  # (j, O, I, i)
    for weights, (i, j) in zip(alpha, basis_orders(size - 1), strict=True):
        mix[j, :, :, i] = weights
    columns = kernels.view(1, size, taps, 1).repeat(outputs, 1, 1, 1)
    return nn.Sequential(
        _conv(kernels.view(1, size, 1, 1, taps).repeat(inputs, 1, 1, 1, 1).flatten(0, 1), groups=inputs),
        _conv(mix.transpose(0, 1).reshape(outputs * size, inputs * size, 1, 1)),
        _conv(columns, bias, groups=outputs),
    )


def _conv(weight: torch.Tensor, bias: torch.Tensor | None = None, dilation: int = 1, groups: int = 1) -> nn.Conv2d:
    """Make a convolution that keeps the size."""
    outputs, inputs, rows, columns = weight.shape
    padding = (dilation * (rows // 2), dilation * (columns // 2))
    conv = nn.Conv2d(inputs * groups, outputs, (rows, columns), 1, padding, dilation, groups, bias is not None)
    return with_weights(conv, weight, bias)


def _replace(network: nn.Module) -> nn.Module:
    """Replace layers by ordinary layers in place; the network must have at most one scale group."""
    for name, layer in network.named_children():
        make = next((make for layer_type, make in _ORDINARY.items() if isinstance(layer, layer_type)), None)
        setattr(network, name, _replace(layer) if make is None else make(layer).eval())
    return network


def _scale_conv_as_ordinary(layer: FoldedScaleConv2d) -> nn.Module:
    centre, radius = layer.kernels.shape[-1] // 2, layer.radii[0]
    kernels = layer.kernels[0, :, centre - radius : centre + radius + 1]
    return separable_as_ordinary(layer.alpha[0], kernels, layer.bias[0])


def _groups_as_ordinary(layer: FoldedGroups) -> nn.Module:
    (conv,) = layer.filters
    if isinstance(conv, FoldedSeparable):
        return separable_as_ordinary(conv.alpha, conv.kernels, conv.bias)
    if isinstance(conv, FoldedDense):
        return _conv(conv.weight, conv.bias, conv.dilation)
    raise TypeError(f"{type(conv).__name__} has no ordinary form")


_ORDINARY: dict[type, Callable[..., nn.Module]] = {
    OrientationConcat: lambda layer: _OrientationConcat(layer.order),
    GroupConv2d: GroupConv2d.ordinary,
    GroupConvTranspose2d: GroupConvTranspose2d.ordinary,
    FoldedScaleConv2d: _scale_conv_as_ordinary,
    FoldedGroups: _groups_as_ordinary,
}
