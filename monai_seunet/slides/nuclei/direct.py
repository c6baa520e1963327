"""Nuclei that touch, taken apart by the directions to their centres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from monai_seunet.grouping import group_pixels
from monai_seunet.slides.nuclei.foreground import Area
from monai_seunet.slides.nuclei.specks import typical_area

ONE = 127  # a direction of length one in maps of 8 bits
SIDES = (*range(16, 129, 16), *(2**k for k in range(8, 15)))  # of the canvases that components are laid on
BATCH_CELLS = 1 << 22
CELLS_PER_PIXEL = (1, 2)  # a component takes the first grid on which its nuclei are large enough
TYPICAL_CELLS = 200  # that a typical nucleus has on it, at least


def direct_nuclei(components: Sequence[Area], directions: np.ndarray) -> list[np.ndarray]:
    """Split connected components into nuclei: pixels that the directions lead to one centre are one.

    Law: nothing but the pixels of a component counts for it, and not where it lies; each pixel is of one nucleus, and
    every nucleus is 4-connected.

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

    Law: each part stays 4-connected.

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
