"""Groups of quarter turns and mirrors of the pixel grid, their action on images, and their representations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from monai_seunet.utils.errors import InputError

POINT_GROUPS = {"p1": 1, "p4": 4, "p4m": 8}


@dataclass(frozen=True)
class PointGroup:
    """A group of symmetries of the square: `p4` (quarter turns), `p4m` (with mirrors), or `p1` (the identity).

    Element g = r + 4m mirrors left and right m times, and then makes r quarter turns counterclockwise.

    Attributes:
        name: crystallographic name of the plane group, as in Cohen & Welling (2016).
        order: number of elements R.

    >>> group = point_group("p4")
    >>> group.product(3, 2), group.inverse(1)
    (1, 3)
    """

    name: str
    order: int

    def act(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """Move the pixels of (..., H, W): (g x)(z) = x(g^-1 z)."""
        mirrored, turns = divmod(g, 4)
        return torch.rot90(x.flip(-1) if mirrored else x, turns, (-2, -1))

    def product(self, g: int, h: int) -> int:
        """Return the element that applies h first and then g."""
        (mirrored_g, turns_g), (mirrored_h, turns_h) = divmod(g, 4), divmod(h, 4)
        turns = turns_g + (-turns_h if mirrored_g else turns_h)
        return turns % 4 + 4 * ((mirrored_g + mirrored_h) % 2)

    def inverse(self, g: int) -> int:
        """Return the inverse of g."""
        return next(h for h in range(self.order) if self.product(g, h) == 0)

    def matrix(self, g: int) -> list[list[int]]:
        """Return the 2 x 2 matrix of g for points (y, x) in pixels down and right of the centre."""
        mirrored, turns = divmod(g, 4)
        cosine, sine = (1, 0, -1, 0)[turns], (0, 1, 0, -1)[turns]
        across = -1 if mirrored else 1
        return [[cosine, -sine * across], [sine, cosine * across]]

    def act_on_features(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """Move the pixels and orientations of a feature map (..., R * C, H, W) over the group."""
        maps = x.unflatten(-3, (self.order, -1))
        order = [self.product(self.inverse(g), h) for h in range(self.order)]
        return self.act(g, maps[..., order, :, :, :]).flatten(-4, -3)


def point_group(name: str) -> PointGroup:
    """Return the group of a name.

    Raises:
        InputError: the name is unknown.
    """
    if name not in POINT_GROUPS:
        raise InputError(f"group is '{name}'; choose one of {list(POINT_GROUPS)}")
    return PointGroup(name, POINT_GROUPS[name])


@cache
def filter_index(group: PointGroup, kernel_size: int, lifting: bool = False) -> torch.Tensor:
    """Return the indices from which the expanded filter bank takes its values.

    The filter from input orientation h' to output orientation h is the filter of h^-1 h', moved by h.

    Returns:
        Indices (R, R', k, k) into a flattened (R', k, k); R' is 1 for a filter of images (`lifting`).
    """
    taps = kernel_size * kernel_size
    grid = torch.arange(taps).view(kernel_size, kernel_size)
    banks = []
    for h in range(group.order):
        inputs = [0] if lifting else [group.product(group.inverse(h), other) for other in range(group.order)]
        moved = group.act(h, grid)
        banks.append(torch.stack([moved + taps * relative for relative in inputs]))
    return torch.stack(banks)


@cache
def one_dimensional_characters(group: PointGroup) -> torch.Tensor:
    """Return the real representations of dimension one, (n, R): n is 1, 2 and 4 for p1, p4 and p4m."""
    elements = torch.arange(group.order)
    turned, mirrored = (-1.0) ** (elements % 4), (-1.0) ** (elements // 4)
    rows = [torch.ones(group.order), turned, mirrored, mirrored * turned][: max(1, group.order // 2)]
    return torch.stack(rows).double()


@cache
def standard_representation(group: PointGroup) -> torch.Tensor:
    """Return the matrices (R, 2, 2) of turns and mirrors, which are the two-dimensional representation."""
    return torch.tensor([group.matrix(g) for g in range(group.order)], dtype=torch.float64)
