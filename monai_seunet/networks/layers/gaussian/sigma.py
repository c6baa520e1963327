"""The scale of every scale group as a trainable, bounded number, and the ranges that the groups of a network get."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from monai_seunet.utils.errors import InputError

SIGMA_MODES = ("constrained", "fixed", "free")
MIN_SIGMA = 0.05  # below it the sampled kernel of order 0 is a delta and the others vanish, in float32 too

Bounds = Sequence[tuple[float, float]]


def paper_bounds(level: int, num_scales: int) -> list[tuple[float, float]]:
    """Ranges of the paper: each group 0.5 wide, all shifted by half a pixel per level."""
    offset = 0.5 * level
    return [(offset + 0.5 * k, offset + 0.5 * (k + 1)) for k in range(num_scales)]


def geometric_bounds(num_scales: int, ratio: float) -> list[tuple[float, float]]:
    """Ranges with the same ratio from group to group, for every level.

    Invariant: zooming the image by the ratio moves every group onto the next one through the whole network.
    """
    return [(0.5 * ratio**k, 0.5 * ratio ** (k + 1)) for k in range(num_scales)]


def level_bounds(
    sigma_ranges: str | Sequence[Bounds], num_levels: int, scales_per_octave: int, num_octaves: int = 1
) -> list[list[tuple[float, float]]]:
    """Ranges (lower, upper) in pixels of every group at every level, from fine to coarse.

    Args:
        sigma_ranges: `paper`, `geometric`, or explicitly one list of (lower, upper) per level.
        num_levels: resolutions of the network.
        scales_per_octave: scale groups of an octave.
        num_octaves: with several, the octaves continue one `geometric` series; with one, its ratio is the square root
            of 2.

    Returns:
        num_levels lists of scales_per_octave pairs.

    Raises:
        InputError: for an unknown name, a wrong number of pairs, or ranges that overlap.
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
    Invariant: in the modes `constrained` and `fixed` group k stays in its range (b_k, a_k), so that the groups never
    meet.

    Args:
        bounds: (lower b, upper a) of every group, in pixels, rising and without overlap.
        mode: `constrained`; `fixed` (the middle of the range, not trained); `free` ($\sigma = 2^x$, starting at the
            middle of the range, which then binds no more).

    Raises:
        InputError: for an unknown mode, or for ranges that are empty, negative, or overlap.
    """

    def __init__(self, bounds: Bounds, mode: str = "constrained") -> None:
        super().__init__()
        if mode not in SIGMA_MODES:
            raise InputError(f"sigma_mode is '{mode}'; choose one of {list(SIGMA_MODES)}")
        _check_bounds(bounds)
        self.mode = mode
        self.minimum = MIN_SIGMA
        self.bounds: torch.Tensor
        self.register_buffer("bounds", torch.tensor([tuple(pair) for pair in bounds], dtype=torch.float32))
        start = torch.zeros(len(bounds)) if mode != "free" else self.bounds.mean(dim=1).log2()
        self.raw = nn.Parameter(start, requires_grad=mode != "fixed")

    def forward(self) -> torch.Tensor:
        """Return the scales, (S,)."""
        return _scales(self.raw, self.bounds, self.mode == "free", self.minimum)

    def radii(self, truncation: float) -> list[int]:
        """Radius of every group's kernels at the scales of now: max(1, ceil(truncation * sigma))."""
        reach = (self.forward().detach() * truncation).ceil().clamp(min=1.0)
        radii: list[int] = reach.to(torch.int64).tolist()
        return radii

    def subset(self, groups: Sequence[int]) -> None:
        """Keep the given groups only."""
        self.bounds = self.bounds[list(groups)]
        self.raw = nn.Parameter(self.raw.detach()[list(groups)], requires_grad=self.raw.requires_grad)

    def extra_repr(self) -> str:
        """The mode and the scales of now."""
        return f"mode={self.mode}, sigma={[round(s, 3) for s in self.forward().tolist()]}"


def joint_scales(parameters: Sequence[ScaleParameter]) -> torch.Tensor:
    """The scales of several layers of one mode and S groups each, (layers, S), in one go."""
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
