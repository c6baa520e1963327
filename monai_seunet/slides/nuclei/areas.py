"""Connected areas of the foreground, and what is measured of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import PixelRules

CERTAIN = 255  # a probability of one
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


class Area(NamedTuple):
    """A mask (h, w) and where its box lies in the region."""

    mask: np.ndarray
    y: int
    x: int


class Components(NamedTuple):
    """Connected foreground of a region.

    Attributes:
        probability: (H, W) uint8 of the foreground, in 255ths.
        labels: (H, W) int32; 0 is background.
        slices: rows and columns of the box of component 1, 2 ...
        areas: (n + 1,) pixels of each label.
    """

    probability: np.ndarray
    labels: np.ndarray
    slices: list[tuple[slice, slice]]
    areas: np.ndarray

    def area(self, number: int) -> Area:
        """Component `number`, from 1."""
        rows, columns = self.slices[number - 1]
        return Area(self.labels[rows, columns] == number, rows.start, columns.start)


def foreground_probability(probability: np.ndarray) -> np.ndarray:
    """Add up the foreground classes.

    Args:
        probability: (C, H, W) uint8, in 255ths.

    Returns:
        (H, W) uint8; what rounding puts above one is one.
    """
    if len(probability) == 1:
        return probability[0]
    return np.minimum(probability.sum(axis=0, dtype=np.uint16), CERTAIN).astype(np.uint8)


def find_components(probability: np.ndarray, rules: PixelRules) -> Components:
    """Connected components of the foreground, small holes filled.

    Pixels that touch at a corner only are not connected. A hole is background that the foreground encloses, corners
    included; what lies in a small one belongs to the component around it.
    Invariant: what a component is depends on nothing outside its box.

    Args:
        probability: (C, H, W) uint8, in 255ths.
        rules: of this resolution.
    """
    foreground = foreground_probability(probability)
    mask = fill_small_holes(foreground >= rules.threshold, rules.hole)
    labels, _ = ndimage.label(mask)
    slices = ndimage.find_objects(labels)
    return Components(foreground, labels, slices, np.bincount(labels.ravel(), minlength=len(slices) + 1))


def fill_small_holes(mask: np.ndarray, max_area: int) -> np.ndarray:
    """Fill the holes of at most `max_area` pixels; background at the rim of the array is no hole.

    Args:
        mask: (H, W) bool.
        max_area: pixels.
    """
    holes, count = ndimage.label(~mask, EIGHT_NEIGHBOURS)
    small = np.bincount(holes.ravel(), minlength=count + 1) <= max_area
    small[0] = False  # the foreground
    for rim in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        small[rim] = False
    return mask | small[holes] if small.any() else mask


def padded(array: np.ndarray) -> np.ndarray:
    """With a rim of one zero; for small arrays far faster than `numpy.pad`."""
    result = np.zeros((array.shape[0] + 2, array.shape[1] + 2), array.dtype)
    result[1:-1, 1:-1] = array
    return result


NO_GROUP = 255  # of maps, where nothing was computed


class Maps(NamedTuple):
    """What the network found in a region.

    Attributes:
        probability: (C, H, W) uint8 of the foreground classes, in 255ths.
        groups: (H, W) uint8 index of the winning scale group, 255 where there is none; or None.
        directions: (2, H, W) int8 to the centres, y and x, 127 for 1; None from a network without.
    """

    probability: np.ndarray
    groups: np.ndarray | None = None
    directions: np.ndarray | None = None


def measure(areas: Sequence[Area], maps: Maps, origin: tuple[int, int], notes: tuple[str, ...] = ()) -> Objects:
    """Measure nuclei and bring them in raster order of their first pixel.

    A nucleus is of the class with the largest sum of probabilities, of the lower one in a tie; likewise its group.
    Invariant: each nucleus by itself; sums are of whole numbers, hence exact.

    Args:
        areas: 4-connected masks.
        maps: of the region.
        origin: (y, x) of the region in the slide.
        notes: remarks for the user.
    """
    order = sorted(areas, key=lambda area: (area.y, area.x + int(area.mask[0].argmax())))
    outlines = [outline(area.mask) for area in order]
    filled = [mask for mask, _ in outlines]
    corners = np.array([(area.y, area.x) for area in order], np.int64).reshape(-1, 2)
    sizes = np.array([mask.shape for mask in filled], np.int64).reshape(-1, 2)
    rows, columns, owner = _pixels(filled, corners)
    counts = np.bincount(owner, minlength=len(order))
    shift = np.array(origin, np.int64)
    places = [np.bincount(owner, along + start, len(order)) for along, start in ((rows, shift[0]), (columns, shift[1]))]
    sums = np.array([np.bincount(owner, part[rows, columns], len(order)) for part in maps.probability])
    certainty = np.bincount(owner, foreground_probability(maps.probability)[rows, columns], len(order))
    return Objects(
        boxes=np.concatenate([corners + shift, corners + sizes + shift], axis=1),
        masks=filled,
        contours=[
            ring + (corner + shift).astype(np.float32) for (_, ring), corner in zip(outlines, corners, strict=True)
        ],
        areas=counts,
        centroids=np.stack(places, axis=1) / np.maximum(counts, 1)[:, None] + 0.5,
        classes=sums.argmax(axis=0) + 1,
        confidences=certainty / (CERTAIN * np.maximum(counts, 1)),
        groups=_winners(maps.groups, rows, columns, owner, len(order)),
        notes=notes,
    )


def _pixels(masks: Sequence[np.ndarray], corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column in the region, and the owner, of the pixels of all masks."""
    if not masks:
        return tuple(np.zeros(0, np.int64) for _ in range(3))  # type: ignore[return-value]
    found = [np.nonzero(mask) for mask in masks]
    owner = np.repeat(np.arange(len(masks)), [len(rows) for rows, _ in found])
    rows, columns = (np.concatenate([pixels[axis] for pixels in found]) for axis in (0, 1))
    return rows + corners[owner, 0], columns + corners[owner, 1], owner


def _winners(
    groups: np.ndarray | None, rows: np.ndarray, columns: np.ndarray, owner: np.ndarray, count: int
) -> np.ndarray:
    """The group that has most pixels of each nucleus, -1 where none has any."""
    if groups is None:
        return np.full(count, -1, np.int64)
    size = NO_GROUP + 1
    votes = np.bincount(owner * size + groups[rows, columns], minlength=count * size).reshape(count, size)[:, :NO_GROUP]
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill the holes of a mask and trace its exterior, halfway between the centres of its pixels and their neighbours.

    Invariant: the pixel centres within the ring are exactly the pixels of the filled mask; the ring is simple.

    Args:
        mask: (H, W) bool, 4-connected.

    Returns:
        the filled mask, and its ring (P, 2) float32 (y, x), pixel edges at integers, the first point not repeated.
    """
    from skimage.measure import find_contours

    rings = find_contours(padded(mask), 0.5)
    if len(rings) > 1:
        mask = ndimage.binary_fill_holes(mask, EIGHT_NEIGHBOURS)
        rings = find_contours(padded(mask), 0.5)
    (ring,) = rings
    return mask, (ring[:-1] - 0.5).astype(np.float32)  # less the padding, and from centres to edges
