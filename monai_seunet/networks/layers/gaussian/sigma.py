"""Trainable, bounded sigmas of scale groups, and their ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from monai_seunet.networks.layers.expansion import ExpansionCache
from monai_seunet.utils.errors import InputError

SIGMA_MODES = ("constrained", "fixed", "free")
MIN_SIGMA = 0.05  # for smaller sigmas the sampled kernel of order 0 is a delta, and the others vanish in float32

Bounds = Sequence[tuple[float, float]]


def paper_bounds(level: int, num_scales: int) -> list[tuple[float, float]]:
    """Return the ranges of the paper: the width is 0.5 for each group, and the shift is half a pixel per level."""
    offset = 0.5 * level
    return [(offset + 0.5 * k, offset + 0.5 * (k + 1)) for k in range(num_scales)]


def geometric_bounds(num_scales: int, ratio: float) -> list[tuple[float, float]]:
    """Return ranges with the same ratio from group to group, for every level.

    Invariant: a zoom of the image by the ratio moves every group to the next group in the whole network.

    >>> geometric_bounds(2, ratio=2)
    [(0.5, 1.0), (1.0, 2.0)]
    """
    return [(0.5 * ratio**k, 0.5 * ratio ** (k + 1)) for k in range(num_scales)]


def level_bounds(
    sigma_ranges: str | Sequence[Bounds], num_levels: int, scales_per_octave: int, num_octaves: int = 1
) -> list[list[tuple[float, float]]]:
    """Return the range (lower, upper) of every group at every level in pixels, from fine to coarse.

    Args:
        sigma_ranges: `paper`, `geometric`, or one list of (lower, upper) per level.
        num_levels: number of resolutions of the network.
        scales_per_octave: number of scale groups in an octave.
        num_octaves: number of octaves. Several octaves continue one `geometric` series; the ratio for a single octave
            is the square root of 2.

    Returns:
        One list of scales_per_octave pairs for each level.

    Raises:
        InputError: the name is unknown, or the number of pairs is wrong.
    """
    if sigma_ranges == "paper":
        return [paper_bounds(level, scales_per_octave) for level in range(num_levels)]
    if sigma_ranges == "geometric":
        ratio = 2 ** (1 / scales_per_octave if num_octaves > 1 else 1 / 2)
        return [geometric_bounds(scales_per_octave, ratio) for _ in range(num_levels)]
    if isinstance(sigma_ranges, str):
        raise InputError(f"sigma_ranges is '{sigma_ranges}'; choose geometric or paper, or give the bounds")
    if len(sigma_ranges) != num_levels or any(len(bounds) != scales_per_octave for bounds in sigma_ranges):
        raise InputError(
            f"sigma_ranges has {[len(bounds) for bounds in sigma_ranges]} pairs per level; "
            f"give {num_levels} levels of {scales_per_octave} pairs (lower, upper)"
        )
    return [[(float(lower), float(upper)) for lower, upper in bounds] for bounds in sigma_ranges]


class ScaleParameter(nn.Module):
    r"""One trainable sigma per scale group: $\sigma = (a-b)/2 \cdot \tanh x + (a+b)/2$ (eq. 6 of the SEUNet paper).

    Shapes: forward() -> (S,), in pixels.
    Invariant: group k stays in its range (b_k, a_k) in the modes `constrained` and `fixed`.

    Args:
        bounds: ranges (lower b, upper a) of the groups in pixels, rising and without overlap.
        mode: `constrained`; `fixed` for the middle of the range without training; `free` for $\sigma = 2^x$ without
            limits, which starts at the middle of the range.

    Raises:
        InputError: the mode is unknown, or ranges are empty, negative, or overlap.
    """

    def __init__(self, bounds: Bounds, mode: str = "constrained") -> None:
        super().__init__()
        if mode not in SIGMA_MODES:
            raise InputError(f"sigma_mode is '{mode}'; choose one of {list(SIGMA_MODES)}")
        _check_bounds(bounds)
        self.mode, self.minimum = mode, MIN_SIGMA
        self.bounds: torch.Tensor = nn.Buffer(torch.tensor([tuple(pair) for pair in bounds], dtype=torch.float32))
        start = torch.zeros(len(bounds)) if mode != "free" else self.bounds.mean(dim=1).log2()
        self.raw = nn.Parameter(start, requires_grad=mode != "fixed")
        self._radii = ExpansionCache[list[int]]()

    def forward(self) -> torch.Tensor:
        """Return the scales, (S,)."""
        return _scales(self.raw, self.bounds, self.mode == "free", self.minimum)

    def radii(self, truncation: float) -> list[int]:
        """Return the radius of every group's kernels at the present scales: max(1, ceil(truncation * sigma)).

        They are cached without gradients, since a GPU has to finish before its numbers can be read.
        """
        return list(self._radii.get(self.raw, truncation, self._radii_at))

    def _radii_at(self, truncation: float) -> list[int]:
        reach = (self.forward().detach() * truncation).ceil().clamp(min=1.0)
        return reach.to(torch.int64).tolist()

    def subset(self, groups: Sequence[int]) -> None:
        """Keep only the given groups."""
        self.bounds = self.bounds[list(groups)]
        self.raw = nn.Parameter(self.raw.detach()[list(groups)], requires_grad=self.raw.requires_grad)
        self._radii.clear()

    def extra_repr(self) -> str:
        """Return the mode and the present scales."""
        return f"mode={self.mode}, sigma={[round(s, 3) for s in self.forward().tolist()]}"


def joint_scales(parameters: Sequence[ScaleParameter]) -> torch.Tensor:
    """Return the scales (layers, S) of several layers with the same mode and S groups each."""
    raw = torch.stack([parameter.raw for parameter in parameters])
    bounds = torch.stack([parameter.bounds for parameter in parameters])
    return _scales(raw, bounds, parameters[0].mode == "free", parameters[0].minimum)


def _scales(raw: torch.Tensor, bounds: torch.Tensor, free: bool, minimum: float) -> torch.Tensor:
    if free:
        return torch.exp2(raw).clamp(min=minimum)
    lower, upper = bounds[..., 0].to(raw.dtype), bounds[..., 1].to(raw.dtype)
    return (0.5 * (upper - lower) * raw.tanh() + 0.5 * (upper + lower)).clamp(min=minimum)


def _check_bounds(bounds: Bounds) -> None:
    previous = 0.0
    for k, (lower, upper) in enumerate(bounds):
        if not (math.isfinite(lower) and math.isfinite(upper)) or not 0 <= lower < upper:
            raise InputError(f"sigma range {k} is ({lower}, {upper}); it needs 0 <= lower < upper")
        if lower < previous - 1e-9:
            raise InputError(
                f"sigma ranges {k - 1} and {k} overlap: {tuple(bounds[k - 1])} and {(lower, upper)}; "
                "let each range start where the one before ends"
            )
        previous = upper
