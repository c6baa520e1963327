"""The groups of quarter turns and mirrors of the pixel grid, how they act on images, and their irreducible parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch

from monai_seunet.utils.errors import InputError

POINT_GROUPS = {"p1": 1, "p4": 4, "p4m": 8}


@dataclass(frozen=True)
class PointGroup:
    """A group of symmetries of the square: `p4` (quarter turns), `p4m` (with mirrors), or `p1` (the identity alone).

    Element g = r + 4m mirrors left and right m times and then turns r times by a quarter, counterclockwise.

    Attributes:
        name: of the plane group, as crystallographers and Cohen & Welling (2016) call it.
        order: number of elements R.
    """

    name: str
    order: int

    def act(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """Move the pixels of (..., H, W): (g x)(z) = x(g^-1 z)."""
        mirrored, turns = divmod(g, 4)
        return torch.rot90(x.flip(-1) if mirrored else x, turns, (-2, -1))

    def product(self, g: int, h: int) -> int:
        """The element that does h first and then g."""
        (mirrored_g, turns_g), (mirrored_h, turns_h) = divmod(g, 4), divmod(h, 4)
        turns = turns_g + (-turns_h if mirrored_g else turns_h)
        return turns % 4 + 4 * ((mirrored_g + mirrored_h) % 2)

    def inverse(self, g: int) -> int:
        """The element that undoes g."""
        return next(h for h in range(self.order) if self.product(g, h) == 0)

    def matrix(self, g: int) -> list[list[int]]:
        """How g moves the axes: (y, x) of a point, in pixels down and right of the centre, to those of its image."""
        mirrored, turns = divmod(g, 4)
        cosine, sine = (1, 0, -1, 0)[turns], (0, 1, 0, -1)[turns]
        across = -1 if mirrored else 1
        return [[cosine, -sine * across], [sine, cosine * across]]

    def act_on_features(self, g: int, x: torch.Tensor) -> torch.Tensor:
        """Move a feature map (..., R * C, H, W) over the group: its pixels, and its orientations with them."""
        maps = x.unflatten(-3, (self.order, -1))
        order = [self.product(self.inverse(g), h) for h in range(self.order)]
        return self.act(g, maps[..., order, :, :, :]).flatten(-4, -3)


def point_group(name: str) -> PointGroup:
    """Find a group by its name.

    Raises:
        InputError: for an unknown name; lists the known ones.
    """
    if name not in POINT_GROUPS:
        raise InputError(f"group is '{name}'; choose one of {list(POINT_GROUPS)}")
    return PointGroup(name, POINT_GROUPS[name])


@cache
def filter_index(group: PointGroup, kernel_size: int, lifting: bool = False) -> torch.Tensor:
    """Where the expanded filter bank takes its values from.

    Output orientation h sees input orientation h' through the filter of h^-1 h', moved by h.

    Returns:
        (R, R', k, k) indices into a flattened (R', k, k), where R' is 1 for a filter of images (`lifting`).
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
    """Values of the real representations of dimension one, (n, R): n is 1, 2 and 4 for p1, p4 and p4m."""
    elements = torch.arange(group.order)
    turned, mirrored = (-1.0) ** (elements % 4), (-1.0) ** (elements // 4)
    rows = [torch.ones(group.order), turned, mirrored, mirrored * turned][: max(1, group.order // 2)]
    return torch.stack(rows).double()


@cache
def standard_representation(group: PointGroup) -> torch.Tensor:
    """The turns and mirrors as matrices, (R, 2, 2): what remains of p4 and p4m beside the characters."""
    return torch.tensor([group.matrix(g) for g in range(group.order)], dtype=torch.float64)
