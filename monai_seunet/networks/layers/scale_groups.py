"""Base of convolutions for scale groups, their dense forms, and their forms for inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.rotation.orientation import OrientationBatchNorm2d
from monai_seunet.networks.layers.separable import separable_conv


class ScaleGroupConv(nn.Module, ABC):
    """Base of convolutions with one filter per scale group and weights that all groups share.

    Shapes: x (S * B, I, H, W), or (B, I, H, W) if `lifting`, -> (S * B, O, H, W); the groups are outermost.
    Invariant: group k of the output depends only on group k of the input, with the same weights for all k. The layer
    commutes with shifts away from the border.

    Subclasses take `in_channels`, the number of channels I of one group, or of the image if `lifting`, and
    `out_channels`, the number of channels O of one group.

    Args:
        num_scales: number of scale groups S.
        lifting: True if every group has the same input, as in the first layer of a network.

    Raises:
        ValueError: the groups do not divide the batch.
    """

    def __init__(self, num_scales: int, lifting: bool) -> None:
        super().__init__()
        self.num_scales, self.lifting = num_scales, lifting

    def groups(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of every scale group, S tensors (B, I, H, W)."""
        if self.lifting:
            return [x for _ in range(self.num_scales)]
        if x.shape[0] % self.num_scales != 0:
            raise ValueError(f"{x.shape[0]} maps do not divide into {self.num_scales} scale groups of equal batch size")
        return list(x.chunk(self.num_scales))

    @abstractmethod
    def dense_filters(self) -> list[torch.Tensor]:
        """Return the filters as S differentiable weights (O, I, taps, taps) of ordinary convolutions."""

    def forward_dense(self, x: torch.Tensor) -> torch.Tensor:
        """Filter by one dense convolution per group; this is the slower reference of `forward`."""
        pairs = zip(self.groups(x.contiguous()), self.dense_filters(), strict=True)
        return torch.cat([F.conv2d(group, weight, padding=weight.shape[-1] // 2) for group, weight in pairs])

    def forward_filter_bank(self, x: torch.Tensor) -> torch.Tensor:
        """Filter by one grouped convolution with the bank of all filters, padded to the widest."""
        filters = self.dense_filters()
        radius = max(weight.shape[-1] // 2 for weight in filters)
        bank = torch.cat([F.pad(w, [radius - w.shape[-1] // 2] * 4) for w in filters])  # (S * O, I, taps, taps)
        groups = torch.cat(self.groups(x.contiguous()), dim=1)  # (B, S * I, H, W)
        y = F.conv2d(groups, bank, padding=radius, groups=self.num_scales)
        return y.unflatten(1, (self.num_scales, -1)).transpose(0, 1).flatten(0, 1)

    @abstractmethod
    def subset(self, groups: Sequence[int]) -> ScaleGroupConv:
        """Keep only the given scale groups, in place, and return the layer."""

    @abstractmethod
    def folded(self, norm: nn.Module) -> nn.Module:
        """Return the layer for inference, with the norm after it folded in."""


def norm_affine(norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factor and the offset of the norm after a scale convolution, (1 or S, O) each."""
    if isinstance(norm, OrientationBatchNorm2d):
        scale, offset = norm.affine()
        return scale.repeat(1, norm.order), offset.repeat(1, norm.order)
    if not isinstance(norm, ScaleBatchNorm2d):
        raise TypeError(f"a scale convolution is followed by {type(norm).__name__}, which cannot be folded")
    return norm.affine()


class DiscreteScaleConv(ScaleGroupConv):
    """Base of convolutions at fixed scales, whose filters are expanded group by group."""

    @abstractmethod
    def expand(self, k: int) -> torch.Tensor:
        """Return the dense filter of group k, (O, I, taps, taps)."""

    @abstractmethod
    def folded_group(self, k: int, scale: torch.Tensor, bias: torch.Tensor) -> nn.Module:
        """Return the filter of group k for inference, with a factor and an offset (O,) for its output."""

    def dense_filters(self) -> list[torch.Tensor]:
        """See `ScaleGroupConv`."""
        return [self.expand(k) for k in range(self.num_scales)]

    def folded(self, norm: nn.Module) -> FoldedGroups:
        """See `ScaleGroupConv`."""
        scale, bias = (values.expand(self.num_scales, -1) for values in norm_affine(norm))  # (S, O)
        with torch.no_grad():
            return FoldedGroups([self.folded_group(k, scale[k], bias[k]) for k in range(self.num_scales)], self.lifting)


class FoldedGroups(nn.Module):
    """One filter for inference per scale group; see `ScaleGroupConv` for shapes and invariant."""

    def __init__(self, filters: Sequence[nn.Module], lifting: bool) -> None:
        super().__init__()
        self.num_scales, self.lifting = len(filters), lifting
        self.filters = nn.ModuleList(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group."""
        groups = [x] * self.num_scales if self.lifting else list(x.chunk(self.num_scales))
        return torch.cat([conv(group) for group, conv in zip(groups, self.filters, strict=True)])

    def subset(self, groups: Sequence[int]) -> None:
        """Keep only the given scale groups, in place."""
        self.num_scales = len(groups)
        self.filters = nn.ModuleList(self.filters[k] for k in groups)


class FoldedDense(nn.Module):
    """A convolution that keeps the size, with its weight (O, I, taps, taps) and bias (O,) as constants."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight, self.bias = nn.Buffer(weight), nn.Buffer(bias.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter (B, I, H, W)."""
        padding = self.dilation * (self.weight.shape[-1] // 2)
        return F.conv2d(x, self.weight, self.bias, padding=padding, dilation=self.dilation)


class FoldedSeparable(nn.Module):
    """`separable_conv` with its weights, kernels and bias as constants."""

    def __init__(self, alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.alpha, self.kernels, self.bias = nn.Buffer(alpha), nn.Buffer(kernels.clone()), nn.Buffer(bias.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter (B, I, H, W)."""
        return separable_conv(x, self.alpha, self.kernels, self.bias)
