"""The foreground of a map of probabilities, and its connected components."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

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
