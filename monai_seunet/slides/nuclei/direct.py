"""Separation of touching nuclei by the directions to their centres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from monai_seunet.slides.nuclei.areas import Area
from monai_seunet.slides.nuclei.rules import typical_area

STEPS = 24
GROWTH = 0.25  # step length as a share of the distance from the start; the least step is one cell
WIDTH = 0.3  # sigma of the smoothing of end points, in radii of the object
OCTAVES = 5  # number of grids for the counts; the side of a cell doubles from grid to grid
DOUBLINGS = 8  # each doubling squares the map from a cell to its higher neighbour
FRACTION = 16  # distances and shares of pixels are rounded to 1 / FRACTION, so their sums are exact
ROUNDS = 8  # rounds of adding neighbours; they equal a Gaussian of sigma sqrt(ROUNDS) / 2 cells


# `torch.jit.script` takes `group_pixels`; it knows constants of the module as default values of arguments alone.


def group_pixels(foreground: torch.Tensor, directions: torch.Tensor, cells_per_pixel: int = 1) -> torch.Tensor:
    """Number the objects of a foreground by the directions to their centres.

    Every pixel of the foreground moves along the field. Its steps grow with its distance from the start, so small
    and large objects need the same number of steps. The function counts the pixels that end in each cell. It smooths
    the counts in proportion to the distances, which follow the size of the object. A pixel belongs to the local maximum
    of the counts above its end point.

    Invariant: the images of a batch are independent. The counts are integers, so the result does not depend on
    the order of the sums. A zoom of the objects zooms the result, up to the pixel grid.

    Args:
        foreground: mask (B, H, W) bool.
        directions: output (B, 2, H, W) of a network with directions, y and x, length at most 1.
        cells_per_pixel: cells of the finest grid in the side of a pixel. Objects with a radius below 4 pixels need 2 or
            4, because coarser cells cannot separate their centres.

    Returns:
        Numbers (B, H, W) int64: 0 is background, and the pixels of an object share a number in
        [1, H * W * cells_per_pixel^2].
    """
    batch, height, width = foreground.shape
    image, row, column = foreground.nonzero().unbind(1)
    start = torch.stack([row, column]).float()
    end = _walk(directions.float().nan_to_num(0.0), image, start, 1 / cells_per_pixel)
    way = cells_per_pixel * _length(end - start)  # from here on in cells
    end = cells_per_pixel * end + (cells_per_pixel - 1) / 2
    down, across = height * cells_per_pixel, width * cells_per_pixel
    place = (image * down + end[0].round().long()) * across + end[1].round().long()
    tops = _tops(_hills(image, end, _sigma(place, way, batch, down, across), batch, down, across)).flatten()
    objects = torch.zeros(batch * height * width, dtype=torch.int64, device=foreground.device)
    objects[(image * height + row) * width + column] = tops[place] % (down * across) + 1
    return objects.view(batch, height, width)


def _walk(
    directions: torch.Tensor,
    image: torch.Tensor,
    start: torch.Tensor,
    least: float,
    steps: int = STEPS,
    growth: float = GROWTH,
) -> torch.Tensor:
    """Return the end points (2, P) of pixels, y and x; no step is smaller than `least`."""
    height, width = directions.shape[2], directions.shape[3]
    field = directions.permute(0, 2, 3, 1).reshape(-1, 2)
    first = image * (height * width)
    at, step = start, torch.full_like(start[0], least)
    for _ in range(steps):
        y, x = at[0].clamp(max=height - 1), at[1].clamp(max=width - 1)
        top, left = y.floor(), x.floor()
        upper = first + top.long() * width
        lower = upper + width * (top < height - 1)
        here = left.long()
        beside = here + (left < width - 1)
        down, across = (y - top).unsqueeze(1), (x - left).unsqueeze(1)
        above = torch.lerp(field.index_select(0, upper + here), field.index_select(0, upper + beside), across)
        below = torch.lerp(field.index_select(0, lower + here), field.index_select(0, lower + beside), across)
        moved = at + step * torch.lerp(above, below, down).T
        at = torch.stack([moved[0].clamp(0, height - 1), moved[1].clamp(0, width - 1)])
        step = (growth * _length(at - start)).clamp(min=least)
    return at


def _length(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors[0].square() + vectors[1].square()).sqrt()


def _sigma(
    place: torch.Tensor,
    way: torch.Tensor,
    batch: int,
    height: int,
    width: int,
    share: float = WIDTH,
    fraction: int = FRACTION,
) -> torch.Tensor:
    """Return sigma for each pixel, from the mean distance of the pixels with near ends: 2/3 of the radius of a disk."""
    way = (way * fraction).round().double()
    sums = torch.zeros(2, batch * height * width, dtype=torch.float64, device=way.device)
    sums.index_add_(1, place, torch.stack([torch.ones_like(way), way]))
    counts, ways = _smoothed(sums.view(2, batch, height, width)).flatten(1).unbind(0)
    return (1.5 * share / fraction) * ways[place] / counts[place]


def _hills(
    image: torch.Tensor,
    end: torch.Tensor,
    sigma: torch.Tensor,
    batch: int,
    height: int,
    width: int,
    octaves: int = OCTAVES,
    rounds: int = ROUNDS,
    fraction: int = FRACTION,
) -> torch.Tensor:
    """Count the pixels that end in each cell, smoothed by their sigmas; (B, 1, H, W).

    The Gaussian on the grid of octave n is 2^n times as wide as on the first grid. Two grids share a sigma between
    theirs.
    """
    octave = (2 * sigma / rounds**0.5).clamp(min=1).log2().clamp(max=octaves - 1)
    finer = octave.floor().long()
    coarser_share = ((octave - finer) * fraction).round()
    coarsest = 1 << (octaves - 1)
    rows, columns = -(-height // coarsest) * coarsest, -(-width // coarsest) * coarsest
    hills = torch.zeros(batch, 1, rows, columns, dtype=torch.float64, device=end.device)
    for n in range(octaves):
        side = 1 << n
        share = torch.where(finer == n, fraction - coarser_share, torch.where(finer == n - 1, coarser_share, 0.0))
        down, across = rows // side, columns // side
        cells = (end / side).floor().long()
        counts = torch.zeros(batch * down * across, dtype=torch.float64, device=end.device)
        counts.index_add_(0, (image * down + cells[0]) * across + cells[1], share.double())
        smooth = _smoothed(counts.view(batch, 1, down, across)) / (side * side)
        if n > 0:
            smooth = F.interpolate(smooth, size=[rows, columns], mode="bilinear", align_corners=False)
        hills = hills + smooth
    return hills[:, :, :height, :width]


def _smoothed(maps: torch.Tensor, rounds: int = ROUNDS) -> torch.Tensor:
    """Smooth maps (..., H, W) with binomial coefficients: integers that approximate a Gaussian."""
    maps = F.pad(maps, [rounds // 2] * 4)
    for _ in range(rounds):
        maps = maps[..., 1:, :] + maps[..., :-1, :]
    for _ in range(rounds):
        maps = maps[..., 1:] + maps[..., :-1]
    return maps


def _tops(hills: torch.Tensor, doublings: int = DOUBLINGS) -> torch.Tensor:
    """Return for each cell of (B, 1, H, W) the index of its local maximum in the flattened batch."""
    batch, height, width = hills.shape[0], hills.shape[2], hills.shape[3]
    above = F.max_pool2d(hills, 5, stride=1, padding=2, return_indices=True)[1]
    first = torch.arange(batch, device=hills.device).view(-1, 1, 1, 1) * (height * width)
    tops = (above + first).flatten()
    for _ in range(doublings):
        tops = tops[tops]
    return tops


ONE = 127  # a direction of length one in maps of 8 bits
SIDES = (*range(16, 129, 16), *(2**k for k in range(8, 15)))  # sides of the canvases for components, in pixels
BATCH_CELLS = 1 << 22
CELLS_PER_PIXEL = (1, 2)  # a component takes the first grid on which its nuclei are large enough
TYPICAL_CELLS = 200  # least cells of a typical nucleus on its grid


def direct_nuclei(components: Sequence[Area], directions: np.ndarray) -> list[np.ndarray]:
    """Split connected components into nuclei: one nucleus is the pixels whose directions lead to one centre.

    Cells of one pixel merge the centres of nuclei that are a few pixels wide, as at 10x. Finer cells split larger
    nuclei at small errors of the directions. The size of the nuclei of a component therefore selects its cells.
    Invariant: the nuclei of a component depend only on its pixels, not on its position. Each pixel belongs to one
    nucleus, and every nucleus is 4-connected.

    Args:
        components: components of a region.
        directions: directions (2, H, W) int8 of the region, y and x, `ONE` for 1.

    Returns:
        One array (h, w) int32 for each component; 0 is background, nuclei have the numbers from 1.
    """
    nuclei: dict[int, np.ndarray] = {}
    indices = list(range(len(components)))
    for cells in CELLS_PER_PIXEL:  # most components need only the first grid
        nuclei |= zip(indices, _all_grouped([components[n] for n in indices], directions, cells), strict=True)
        indices = [n for n in indices if cells**2 * typical_part(nuclei[n]) < TYPICAL_CELLS]
    return [nuclei[n] for n in range(len(components))]


def typical_part(parts: np.ndarray) -> float:
    """Return the typical area in pixels of the numbered parts of a component."""
    return float(typical_area(np.bincount(parts[parts > 0])))


def _all_grouped(components: Sequence[Area], directions: np.ndarray, cells_per_pixel: int) -> list[np.ndarray]:
    """Split components; a batch holds components with canvases of the same side."""
    by_side: dict[int, list[int]] = defaultdict(list)
    for n, component in enumerate(components):
        by_side[_side(max(component.mask.shape))].append(n)
    nuclei: dict[int, np.ndarray] = {}
    for side, indices in by_side.items():
        batch_size = max(1, BATCH_CELLS // (side * cells_per_pixel) ** 2)
        for start in range(0, len(indices), batch_size):
            batch = indices[start : start + batch_size]
            labels = _grouped([components[n] for n in batch], directions, side, cells_per_pixel)
            nuclei |= dict(zip(batch, labels, strict=True))
    return [nuclei[n] for n in range(len(components))]


def _side(extent: int) -> int:
    """Return the side of the canvas for a component; it does not depend on other components."""
    return next((side for side in SIDES if side >= extent), -(-extent // SIDES[-1]) * SIDES[-1])


def _grouped(components: Sequence[Area], directions: np.ndarray, side: int, cells_per_pixel: int) -> list[np.ndarray]:
    """Split components as one batch of images."""
    from skimage.measure import label

    masks = np.zeros((len(components), side, side), bool)
    fields = np.zeros((len(components), 2, side, side), np.float32)
    for n, area in enumerate(components):
        height, width = area.mask.shape
        masks[n, :height, :width] = area.mask
        fields[n, :, :height, :width] = area.cut(directions) * area.mask
    numbers = group_pixels(torch.from_numpy(masks), torch.from_numpy(fields / ONE), cells_per_pixel).numpy()
    cut = [n[: c.mask.shape[0], : c.mask.shape[1]] for n, c in zip(numbers, components, strict=True)]
    return [label(part, background=0, connectivity=1).astype(np.int32) for part in cut]  # every part is 4-connected


def join_small_parts(parts: np.ndarray, least: float) -> np.ndarray:
    """Join parts below the least area to the parts beside them; if all parts are too small, join all.

    Invariant: each part stays 4-connected.

    Args:
        parts: numbers (H, W) int32 of the parts of one 4-connected component, 0 is background.
        least: least area of a part in pixels.

    >>> join_small_parts(np.array([[1, 1, 1, 2, 3, 3]]), least=2).tolist()
    [[1, 1, 1, 3, 3, 3]]
    """
    from skimage.segmentation import watershed

    large = np.bincount(parts.ravel()) >= least
    large[0] = False
    if large[1:].all():
        return parts
    if not large.any():
        return (parts > 0).astype(np.int32)
    kept = np.where(large[parts], parts, 0)
    joined: np.ndarray = watershed(np.zeros(parts.shape, np.uint8), kept, mask=parts > 0)  # grows from part to part
    return joined
