"""Convolution by one small filter, dilated to every scale (DISCO)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.discrete.disco_basis import TAPS, check_scales, disco_basis, is_whole
from monai_seunet.networks.layers.expansion import ExpansionCache
from monai_seunet.networks.layers.scale_groups import FoldedDense, FoldedGroups, ScaleGroupConv, fold_groups


class DISCOConv2d(ScaleGroupConv):
    r"""Convolution by $F_k = \sum_n w_n b_n(s_k)$, nine basis functions that zoom as exactly as pixels allow, w shared.

    Shapes: x (S * B, I, H, W), or (B, I, H, W) where `lifting`, -> (S * B, O, H, W); the groups are outermost.
    Invariant: group k of the output depends on group k of the input alone, by the same weight for all k. Away from the
    border it commutes with shifts. Taking every s-th pixel of the input, and filtering at scale 1, is filtering at the
    whole scale s and taking every s-th pixel.
    Limits: whole scales take the 3 x 3 weight with a dilation, 9 taps. Other scales take a basis fitted to commute
    with resizing as well as it can, dense over 2 ceil(s) + 1 pixels.

    Args:
        in_channels: channels of one group, or of the image where `lifting`.
        out_channels: channels of one group.
        scales: rising from 1 or more, at least one of them whole.
        lifting: every group sees the whole input, as in the first layer of a network.

    Raises:
        InputError: for other scales.
        ValueError: for a batch that the groups do not divide.

    References:
        Sosnovik, Moskalev, Smeulders, DISCO: accurate Discrete Scale Convolutions, 2021 (arXiv 2106.02733).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scales: Sequence[float] = (1, 2, 3, 4, 5),
        lifting: bool = False,
    ) -> None:
        numbers = check_scales(scales)
        super().__init__(len(numbers), lifting)
        self.scales = list(numbers)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        bases = disco_basis(numbers)
        self.radii = [basis.shape[-1] // 2 for basis in bases]
        # the fitted pixels are part of what was trained; deltas are known
        fitted = not all(is_whole(scale) for scale in numbers)
        self.dilations = [int(scale) if is_whole(scale) else 0 for scale in numbers]  # 0: a fitted basis
        self.basis: torch.Tensor
        widest = max(self.radii)
        padded = [F.pad(basis, [widest - r] * 4) for basis, r in zip(bases, self.radii, strict=True)]
        self.register_buffer("basis", torch.stack(padded).to(self.weight.dtype), persistent=fitted)
        self._expanded: ExpansionCache[torch.Tensor] = ExpansionCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight so that a sum over channels and taps keeps its variance through a ReLU."""
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / (TAPS * self.weight.shape[1])))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group."""
        groups = self.groups(x)
        outputs: list[torch.Tensor] = []
        for k in range(self.num_scales):
            weight, dilation = self._filter(k)
            padding = dilation * (weight.shape[-1] // 2)
            outputs.append(F.conv2d(groups[k], weight, padding=padding, dilation=dilation))
        return torch.cat(outputs)

    def expand(self, k: int) -> torch.Tensor:
        """The filter of group k with all its pixels, (O, I, taps, taps)."""
        middle, radius = self.basis.shape[-1] // 2, self.radii[k]
        basis = self.basis[k, :, middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]
        return torch.einsum("oin,nyx->oiyx", self.weight.flatten(2), basis)

    def _filter(self, k: int) -> tuple[torch.Tensor, int]:
        """The weight of group k's convolution and its dilation."""
        # Dilated 3 x 3 convolutions run at the speed of plain ones on a CPU, backward, too; splitting the image into
        # phases for plain ones takes 1.1 to 1.9 times as long, since it moves every map twice.
        if self.dilations[k] > 0:
            return self.weight, self.dilations[k]
        return self._expanded.get(self.weight, k, self.expand), 1

    def dense_filters(self) -> list[torch.Tensor]:
        """The filters as ordinary convolution weights: S tensors (O, I, taps, taps), differentiable."""
        return [self.expand(k) for k in range(self.num_scales)]

    def subset(self, groups: Sequence[int]) -> DISCOConv2d:
        """The layer reduced, in place, to the given scale groups."""
        self.num_scales = len(groups)
        self.scales, self.radii = [self.scales[k] for k in groups], [self.radii[k] for k in groups]
        self.dilations = [self.dilations[k] for k in groups]
        self.basis = self.basis[list(groups)]
        self._expanded.clear()
        return self

    def folded(self, norm: nn.Module) -> FoldedGroups:
        """The layer for inference, with the norm that follows it."""
        return fold_groups(self, norm, self._folded_group)

    def _folded_group(self, k: int, scale: torch.Tensor, bias: torch.Tensor) -> nn.Module:
        """Filter of group k for inference, its output scaled and offset, (O,) each."""
        weight, dilation = self._filter(k)
        return FoldedDense(weight * scale[:, None, None, None], bias, dilation)

    def extra_repr(self) -> str:
        """Channels, scales and form."""
        out_channels, in_channels = self.weight.shape[:2]
        form = ", lifting" if self.lifting else ""
        return f"{in_channels}, {out_channels}, scales={self.scales}{form}"
