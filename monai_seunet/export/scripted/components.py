"""Connected areas of label images, in operations that TorchScript takes."""

from __future__ import annotations

import torch


def number_components(values: torch.Tensor, diagonal: bool = False) -> torch.Tensor:
    """Number the connected areas of equal values, in raster order of their first pixels.

    Rows are joined first. Then each area takes the lowest number among its neighbours, until no neighbours differ. The
    number of rounds grows with the logarithm of the number of areas.

    Args:
        values: values (H, W) int64; 0 is background.
        diagonal: True if pixels that touch at a corner are connected, too.

    Returns:
        Numbers (H, W) int64 from 1; 0 is background.

    >>> number_components(torch.tensor([[1, 0, 1], [1, 1, 1], [2, 0, 1]])).tolist()
    [[1, 0, 1], [1, 1, 1], [2, 0, 1]]
    """
    height, width = values.shape[0], values.shape[1]
    index = torch.arange(height * width, device=values.device).view(height, width)
    starts = torch.ones_like(values, dtype=torch.bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    parent = torch.where(starts, index, torch.zeros_like(index)).flatten().cummax(0)[0]
    shifts = [(0, 0), (0, 1), (1, 0)] if diagonal else [(0, 0)]
    above: list[torch.Tensor] = []
    below: list[torch.Tensor] = []
    for left, right in shifts:
        here, there = values[: height - 1, left : width - right], values[1:, right : width - left]
        joined = (here == there) & (here > 0)
        above.append(index[: height - 1, left : width - right][joined])
        below.append(index[1:, right : width - left][joined])
    one, other = torch.cat(above), torch.cat(below)
    first, second = parent[one], parent[other]
    apart = first != second
    while bool(apart.any()):
        one, other = one[apart], other[apart]
        low, high = torch.minimum(first[apart], second[apart]), torch.maximum(first[apart], second[apart])
        parent = _roots(parent.scatter_reduce(0, high, low, "amin"))
        first, second = parent[one], parent[other]
        apart = first != second
    labelled = values.flatten() > 0
    number = ((parent == index.flatten()) & labelled).long().cumsum(0)
    return (number[parent] * labelled).view(height, width)


def _roots(parent: torch.Tensor) -> torch.Tensor:
    """Replace the parent of each pixel by the last one of its chain."""
    above = parent[parent]
    while bool((above != parent).any()):
        parent = above
        above = parent[parent]
    return parent


def fill_small_holes(mask: torch.Tensor, max_area: int) -> torch.Tensor:
    """Fill the holes of a mask (H, W) bool that have at most `max_area` pixels; background at the rim is no hole."""
    holes = number_components((~mask).long(), True)
    small = torch.bincount(holes.flatten()) <= max_area
    small[0] = False  # the foreground
    small[_rim(holes)] = False
    return mask | small[holes]


def fill_objects(labels: torch.Tensor) -> torch.Tensor:
    """Fill the holes of numbered objects (H, W) int64, where one object alone lies around a hole."""
    height, width = labels.shape[0], labels.shape[1]
    holes = number_components((labels == 0).long(), True)
    count = int(holes.max()) + 1
    most = int(labels.max()) + 1
    lowest = torch.full([count], most, dtype=torch.int64, device=labels.device)
    highest = torch.zeros_like(lowest)
    for down, right in [(1, 0), (0, 1)]:
        for swapped in [False, True]:
            hole, label = holes[: height - down, : width - right], labels[down:, right:]
            if swapped:
                hole, label = holes[down:, right:], labels[: height - down, : width - right]
            beside = (hole > 0) & (label > 0)
            lowest = lowest.scatter_reduce(0, hole[beside], label[beside], "amin")
            highest = highest.scatter_reduce(0, hole[beside], label[beside], "amax")
    around = torch.where(lowest == highest, lowest, torch.zeros_like(lowest))
    around[_rim(holes)] = 0
    around[0] = 0
    return labels + around[holes]


def _rim(values: torch.Tensor) -> torch.Tensor:
    return torch.cat([values[0], values[-1], values[:, 0], values[:, -1]])
