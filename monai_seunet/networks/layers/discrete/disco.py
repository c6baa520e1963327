"""Convolution by one small filter, dilated to every scale (DISCO)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.discrete.disco_basis import TAPS, check_scales, disco_basis, is_whole
from monai_seunet.networks.layers.expansion import ExpansionCache
from monai_seunet.networks.layers.scale_groups import DiscreteScaleConv, FoldedDense


class DISCOConv2d(DiscreteScaleConv):
    r"""Convolution by $F_k = \sum_n w_n b_n(s_k)$ for scale group k, with nine functions per scale and shared w.

    Shapes: see `ScaleGroupConv`.
    Invariant: see `ScaleGroupConv`. For an integer scale s, subsampling by s before the filter at scale 1 equals
    subsampling after the filter at scale s.
    Limits: at an integer scale s, the filter is the 3 x 3 weight w, dilated by s, with 9 taps. At any other scale, the
    functions are fitted so that the layer commutes with resizing; the filter then is dense, with 2 ceil(s) + 1 taps
    along each axis.

    Args:
        in_channels: number of channels I of one group, or of the image if `lifting`.
        out_channels: number of channels O of one group.
        scales: scales of the groups, rising from 1 or more, at least one an integer.
        lifting: True if every group has the same input, as in the first layer of a network.

    Raises:
        InputError: the scales are not as described.

    References:
        Sosnovik, Moskalev, Smeulders, DISCO: accurate Discrete Scale Convolutions, 2021 (arXiv 2106.02733).
    """

    def __init__(
        self, in_channels: int, out_channels: int, scales: Sequence[float] = (1, 2, 3, 4, 5), lifting: bool = False
    ) -> None:
        numbers = check_scales(scales)
        super().__init__(len(numbers), lifting)
        self.scales = list(numbers)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        bases = disco_basis(numbers)
        self.radii = [basis.shape[-1] // 2 for basis in bases]
        # a fitted basis is saved with the weights; deltas are computed again
        fitted = not all(is_whole(scale) for scale in numbers)
        self.dilations = [int(scale) if is_whole(scale) else 0 for scale in numbers]  # 0: a fitted basis
        widest = max(self.radii)
        padded = [F.pad(basis, [widest - r] * 4) for basis, r in zip(bases, self.radii, strict=True)]
        self.basis: torch.Tensor = nn.Buffer(torch.stack(padded).to(self.weight.dtype), persistent=fitted)
        self._expanded: ExpansionCache[torch.Tensor] = ExpansionCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight; a sum over channels and taps keeps its variance through a ReLU."""
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (TAPS * self.weight.shape[1])))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group."""
        outputs = []
        for k, group in enumerate(self.groups(x)):
            weight, dilation = self._filter(k)
            padding = dilation * (weight.shape[-1] // 2)
            outputs.append(F.conv2d(group, weight, padding=padding, dilation=dilation))
        return torch.cat(outputs)

    def expand(self, k: int) -> torch.Tensor:
        """See `DiscreteScaleConv`."""
        middle, radius = self.basis.shape[-1] // 2, self.radii[k]
        basis = self.basis[k, :, middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]
        return torch.einsum("oin,nyx->oiyx", self.weight.flatten(2), basis)

    def _filter(self, k: int) -> tuple[torch.Tensor, int]:
        """Return the weight and the dilation of group k's convolution."""
        # On a CPU, dilated 3 x 3 convolutions are as fast as plain ones, forward and backward. Plain convolutions of
        # subsampled maps take 1.1 to 1.9 times as long, because every map is rearranged twice.
        if self.dilations[k] > 0:
            return self.weight, self.dilations[k]
        return self._expanded.get(self.weight, k, self.expand), 1

    def subset(self, groups: Sequence[int]) -> DISCOConv2d:
        """Keep only the given scale groups, in place, and return the layer."""
        self.num_scales = len(groups)
        self.scales, self.radii = [self.scales[k] for k in groups], [self.radii[k] for k in groups]
        self.dilations = [self.dilations[k] for k in groups]
        self.basis = self.basis[list(groups)]
        self._expanded.clear()
        return self

    def folded_group(self, k: int, scale: torch.Tensor, bias: torch.Tensor) -> nn.Module:
        """See `DiscreteScaleConv`."""
        weight, dilation = self._filter(k)
        return FoldedDense(weight * scale[:, None, None, None], bias, dilation)

    def extra_repr(self) -> str:
        """Return channels, scales and form."""
        out_channels, in_channels = self.weight.shape[:2]
        form = ", lifting" if self.lifting else ""
        return f"{in_channels}, {out_channels}, scales={self.scales}{form}"
