"""Nuclei that touch, taken apart by the directions to their centres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from monai_seunet.slides.nuclei.areas import Area
from monai_seunet.slides.nuclei.rules import typical_area

STEPS = 24
GROWTH = 0.25  # a step is this share of the way that a pixel is from its start, and one cell at least
WIDTH = 0.3  # sigma by which meeting points are smoothed, in radii of the object
OCTAVES = 5  # grids that they are counted on; the cells of each have twice the side of those of the one before
DOUBLINGS = 8  # of the way uphill
FRACTION = 16  # ways are counted in parts of a cell, and pixels in parts on two grids
ROUNDS = 8  # of smoothing: sums of two neighbours, which is a Gaussian of sigma sqrt(ROUNDS) / 2 cells


def group_pixels(foreground: torch.Tensor, directions: torch.Tensor, cells_per_pixel: int = 1) -> torch.Tensor:
    """Number the objects of a foreground by the directions to their centres.

    Every pixel of the foreground walks along the field, in steps that grow with the way that it has come, so that small
    and large objects take the same number of them. How many pixels end at a place is counted, and smoothed in
    proportion to the way that they came: the smoothing follows the size of each object. A pixel belongs to the hill of
    counts that it ends on.

    Invariant: an image of a batch depends on no other one. The counts are whole numbers, so that the result is the same
    in any order of the sums. A zoom of the objects zooms the result, as far as pixels allow.

    Args:
        foreground: (B, H, W) bool.
        directions: (B, 2, H, W), y and x, of length one at most, as a network with directions gives them.
        cells_per_pixel: cells of the finest grid in the side of a pixel. Objects with a radius of less than 4 pixels
            want 2 or 4: cells of a pixel are too coarse to tell their centres apart.

    Returns:
        (B, H, W) int64: 0 is background, and the pixels of an object share a number in [1, H * W * cells_per_pixel^2].
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


def _walk(directions: torch.Tensor, image: torch.Tensor, start: torch.Tensor, least: float) -> torch.Tensor:
    """Where pixels end, (2, P), y and x; no step is smaller than the least."""
    height, width = directions.shape[2], directions.shape[3]
    field = directions.permute(0, 2, 3, 1).reshape(-1, 2)
    first = image * (height * width)
    at, step = start, torch.full_like(start[0], least)
    for _ in range(STEPS):
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
        step = (GROWTH * _length(at - start)).clamp(min=least)
    return at


def _length(vectors: torch.Tensor) -> torch.Tensor:
    return (vectors[0].square() + vectors[1].square()).sqrt()


def _sigma(place: torch.Tensor, way: torch.Tensor, batch: int, height: int, width: int) -> torch.Tensor:
    """Sigma for each pixel, from the mean way of those that end nearby: two thirds of the radius of a disk."""
    way = (way * FRACTION).round().double()
    sums = torch.zeros(2, batch * height * width, dtype=torch.float64, device=way.device)
    sums.index_add_(1, place, torch.stack([torch.ones_like(way), way]))
    counts, ways = _smoothed(sums.view(2, batch, height, width)).flatten(1)
    return (1.5 * WIDTH / FRACTION) * ways[place] / counts[place]


def _hills(
    image: torch.Tensor, end: torch.Tensor, sigma: torch.Tensor, batch: int, height: int, width: int
) -> torch.Tensor:
    """How many pixels end at each place, smoothed by their sigmas, (B, 1, H, W).

    On the grid of octave n the Gaussian is 2^n times as wide as on the first; a sigma in between is shared by two.
    """
    octave = (2 * sigma / ROUNDS**0.5).clamp(min=1).log2().clamp(max=OCTAVES - 1)
    finer = octave.floor().long()
    coarser_share = ((octave - finer) * FRACTION).round()
    coarsest = 2 ** (OCTAVES - 1)
    rows, columns = -(-height // coarsest) * coarsest, -(-width // coarsest) * coarsest
    hills = torch.zeros(batch, 1, rows, columns, dtype=torch.float64, device=end.device)
    for n in range(OCTAVES):
        side = 2**n
        share = torch.where(finer == n, FRACTION - coarser_share, torch.where(finer == n - 1, coarser_share, 0.0))
        down, across = rows // side, columns // side
        cells = (end / side).floor().long()
        counts = torch.zeros(batch * down * across, dtype=torch.float64, device=end.device)
        counts.index_add_(0, (image * down + cells[0]) * across + cells[1], share.double())
        smooth = _smoothed(counts.view(batch, 1, down, across)) / side**2
        if n > 0:
            smooth = F.interpolate(smooth, size=[rows, columns], mode="bilinear", align_corners=False)
        hills = hills + smooth
    return hills[:, :, :height, :width]


def _smoothed(maps: torch.Tensor) -> torch.Tensor:
    """Maps (..., H, W) by binomial coefficients, which are whole numbers, as a Gaussian."""
    maps = F.pad(maps, [ROUNDS // 2] * 4)
    for _ in range(ROUNDS):
        maps = maps[..., 1:, :] + maps[..., :-1, :]
    for _ in range(ROUNDS):
        maps = maps[..., 1:] + maps[..., :-1]
    return maps


def _tops(hills: torch.Tensor) -> torch.Tensor:
    """The place, in the flattened batch, of the top that each place of (B, 1, H, W) leads up to."""
    batch, _, height, width = hills.shape
    _, above = F.max_pool2d(hills, 5, stride=1, padding=2, return_indices=True)
    first = torch.arange(batch, device=hills.device).view(-1, 1, 1, 1) * (height * width)
    tops = (above + first).flatten()
    for _ in range(DOUBLINGS):
        tops = tops[tops]
    return tops


ONE = 127  # a direction of length one in maps of 8 bits
SIDES = (*range(16, 129, 16), *(2**k for k in range(8, 15)))  # of the canvases that components are laid on
BATCH_CELLS = 1 << 22
CELLS_PER_PIXEL = (1, 2)  # a component takes the first grid on which its nuclei are large enough
TYPICAL_CELLS = 200  # that a typical nucleus has on it, at least


def direct_nuclei(components: Sequence[Area], directions: np.ndarray) -> list[np.ndarray]:
    """Split connected components into nuclei: pixels that the directions lead to one centre are one.

    Invariant: nothing but the pixels of a component counts for it, and not where it lies; each pixel is of one nucleus,
    and every nucleus is 4-connected.

    Cells of a pixel merge the centres of nuclei that are a few pixels wide, as at 10x. Finer ones, for larger nuclei,
    split them at small errors of the directions. Each component is therefore grouped on the cells that suit its nuclei.

    Args:
        components: of a region.
        directions: (2, H, W) int8 of the region, y and x, `ONE` for 1.

    Returns:
        One array (h, w) int32 for each component; 0 is background, nuclei have the numbers from 1.
    """
    found: dict[int, np.ndarray] = {}
    places = list(range(len(components)))
    for cells in CELLS_PER_PIXEL:  # most have enough on the first
        found |= zip(places, _all_grouped([components[place] for place in places], directions, cells), strict=True)
        places = [place for place in places if cells**2 * _typical(found[place]) < TYPICAL_CELLS]
    return [found[place] for place in range(len(components))]


def _typical(parts: np.ndarray) -> float:
    """Pixels of a typical nucleus of a component."""
    return float(typical_area(np.bincount(parts[parts > 0])))


def _all_grouped(components: Sequence[Area], directions: np.ndarray, cells_per_pixel: int) -> list[np.ndarray]:
    """Group components, those that take canvases of one side in one batch."""
    by_side: dict[int, list[int]] = defaultdict(list)
    for place, component in enumerate(components):
        by_side[_side(max(component.mask.shape))].append(place)
    found: dict[int, np.ndarray] = {}
    for side, places in by_side.items():
        most = max(1, BATCH_CELLS // (side * cells_per_pixel) ** 2)
        for start in range(0, len(places), most):
            batch = places[start : start + most]
            labels = _grouped([components[place] for place in batch], directions, side, cells_per_pixel)
            found |= dict(zip(batch, labels, strict=True))
    return [found[place] for place in range(len(components))]


def _side(extent: int) -> int:
    """Of the canvas for a component of this extent; of itself alone, so that the others change nothing."""
    return next((side for side in SIDES if side >= extent), -(-extent // SIDES[-1]) * SIDES[-1])


def _grouped(components: Sequence[Area], directions: np.ndarray, side: int, cells_per_pixel: int) -> list[np.ndarray]:
    """Group components as a batch of images, each on a canvas of its own."""
    masks = np.zeros((len(components), side, side), bool)
    fields = np.zeros((len(components), 2, side, side), np.float32)
    for n, (mask, y, x) in enumerate(components):
        height, width = mask.shape
        masks[n, :height, :width] = mask
        fields[n, :, :height, :width] = directions[:, y : y + height, x : x + width] * mask
    numbers = group_pixels(torch.from_numpy(masks), torch.from_numpy(fields / ONE), cells_per_pixel).numpy()
    return [_connected(own[: c.mask.shape[0], : c.mask.shape[1]]) for own, c in zip(numbers, components, strict=True)]


def _connected(numbers: np.ndarray) -> np.ndarray:
    """Number the 4-connected parts of equal numbers from 1; (H, W) int32."""
    from skimage.measure import label

    parts: np.ndarray = label(numbers, background=0, connectivity=1)
    return parts.astype(np.int32)


def join_crumbs(parts: np.ndarray, least: float) -> np.ndarray:
    """Give the pixels of parts below the least area to the parts beside them; where all are smaller they are one.

    Invariant: each part stays 4-connected.

    Args:
        parts: (H, W) int32 of one 4-connected component, 0 is background.
        least: pixels.
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
