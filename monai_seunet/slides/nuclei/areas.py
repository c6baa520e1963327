"""Connected areas of the foreground, and their measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.outline import EIGHT_NEIGHBOURS, outline
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.nuclei.shapes import eccentricities, perimeters, solidities

CERTAIN = 255  # a probability of 1 in 8 bits


class Area(NamedTuple):
    """A mask (h, w), and the first row and column of its box in the region."""

    mask: np.ndarray
    y: int
    x: int

    def cut(self, values: np.ndarray) -> np.ndarray:
        """Return the part of an array (..., H, W) of the region in the box."""
        height, width = self.mask.shape
        return values[..., self.y : self.y + height, self.x : self.x + width]


class Components(NamedTuple):
    """Connected components of the foreground of a region.

    Attributes:
        probability: foreground probability (H, W) uint8, in 255ths.
        labels: component numbers (H, W) int32; 0 is background.
        slices: rows and columns of the box of each component.
        areas: (n + 1,) pixels of each label, from the background on.
    """

    probability: np.ndarray
    labels: np.ndarray
    slices: list[tuple[slice, slice]]
    areas: np.ndarray

    def area(self, number: int) -> Area:
        """Return the component `number`; numbers start at 1."""
        rows, columns = self.slices[number - 1]
        return Area(self.labels[rows, columns] == number, rows.start, columns.start)


def foreground_probability(probability: np.ndarray) -> np.ndarray:
    """Add the probabilities (C, H, W) uint8 of the foreground classes, and limit each sum to 255; (H, W) uint8.

    >>> foreground_probability(np.array([[[100, 0]], [[50, 255]]], np.uint8)).tolist()
    [[150, 255]]
    """
    if len(probability) == 1:
        return probability[0]
    return np.minimum(probability.sum(axis=0, dtype=np.uint16), CERTAIN).astype(np.uint8)


def find_components(probability: np.ndarray, rules: PixelRules) -> Components:
    """Find the 4-connected components of the foreground, and fill their small holes.

    A hole is 8-connected background that the foreground encloses. All pixels in a small hole join the component around
    it.
    Invariant: a component depends only on the pixels of its box.

    Args:
        probability: probabilities (C, H, W) uint8 of the foreground classes, in 255ths.
        rules: rules in pixels.
    """
    foreground = foreground_probability(probability)
    mask = fill_small_holes(foreground >= rules.threshold, rules.hole)
    labels, _ = ndimage.label(mask)
    slices = ndimage.find_objects(labels)
    return Components(foreground, labels, slices, np.bincount(labels.ravel(), minlength=len(slices) + 1))


def fill_small_holes(mask: np.ndarray, max_area: int) -> np.ndarray:
    """Fill the holes of a mask (H, W) that have at most `max_area` pixels; background at the rim is no hole."""
    holes, count = ndimage.label(~mask, EIGHT_NEIGHBOURS)
    small = np.bincount(holes.ravel(), minlength=count + 1) <= max_area
    small[0] = False  # the foreground
    for rim in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        small[rim] = False
    return mask | small[holes] if small.any() else mask


NO_GROUP = 255  # value in maps of scale groups where nothing was computed


DENSITY_UNIT = 64  # value for an optical density (base 10) of 1 in 8 bits; the largest one is 3.98


class Maps(NamedTuple):
    """Outputs of the network for a region.

    Attributes:
        probability: probabilities (C, H, W) uint8 of the foreground classes, in 255ths.
        groups: index (H, W) uint8 of the winning scale group, 255 for none; None if the network has no groups.
        directions: directions (2, H, W) int8 to the centres, y and x, 127 for 1; None if the network gives none.
        density: optical density (H, W) uint8 of haematoxylin, `DENSITY_UNIT` for 1; None if the image has no stains.
    """

    probability: np.ndarray
    groups: np.ndarray | None = None
    directions: np.ndarray | None = None
    density: np.ndarray | None = None


def measure(areas: Sequence[Area], maps: Maps, origin: tuple[int, int], notes: tuple[str, ...] = ()) -> Objects:
    """Measure nuclei, and sort them in raster order of their first pixel.

    A nucleus gets the class with the largest sum of probabilities, and the group with the most pixels. In a tie the
    lower number wins.
    Invariant: the measures of a nucleus do not depend on other nuclei. Sums of integers are exact.

    Args:
        areas: 4-connected masks.
        maps: outputs of the network for the region.
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
    local = rows - corners[owner, 0], columns - corners[owner, 1]
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
        perimeters=perimeters(filled),
        eccentricities=eccentricities(*local, owner, len(order)),
        solidities=solidities([ring for _, ring in outlines]),
        densities=_densities(maps.density, rows, columns, owner, counts),
        notes=notes,
    )


def _pixels(masks: Sequence[np.ndarray], corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the row, the column and the number of the mask of each pixel of all masks."""
    if not masks:
        return tuple(np.zeros(0, np.int64) for _ in range(3))  # type: ignore[return-value]
    pixels = [np.nonzero(mask) for mask in masks]
    owner = np.repeat(np.arange(len(masks)), [len(rows) for rows, _ in pixels])
    rows, columns = (np.concatenate([indices[axis] for indices in pixels]) for axis in (0, 1))
    return rows + corners[owner, 0], columns + corners[owner, 1], owner


def _densities(
    density: np.ndarray | None, rows: np.ndarray, columns: np.ndarray, owner: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return the mean density of each nucleus, NaN if it is not known."""
    if density is None:
        return np.full(len(counts), np.nan)
    total = np.bincount(owner, density[rows, columns], len(counts))
    return total / (DENSITY_UNIT * np.maximum(counts, 1))


def _winners(
    groups: np.ndarray | None, rows: np.ndarray, columns: np.ndarray, owner: np.ndarray, count: int
) -> np.ndarray:
    """Return the group with the most pixels of each nucleus, -1 for no group."""
    if groups is None:
        return np.full(count, -1, np.int64)
    size = NO_GROUP + 1
    votes = np.bincount(owner * size + groups[rows, columns], minlength=count * size).reshape(count, size)[:, :NO_GROUP]
    return np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
