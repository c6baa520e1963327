"""Objects that are too small for nuclei among those around them."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

NEIGHBOURS = 12  # few, so that a small field beside one of another size is judged by its own
CHUNK = 1 << 16  # objects whose neighbours are in memory at once


def typical_area(areas: np.ndarray) -> np.ndarray:
    """The area of the object in which the middle pixel lies: half of all pixels are of objects that are no larger.

    Many specks weigh little, other than in a median of the objects.

    Args:
        areas: (..., K), K at least 1.

    Returns:
        (...).
    """
    ordered = np.sort(areas, axis=-1)
    pixels = np.cumsum(ordered, axis=-1)
    place = (2 * pixels < pixels[..., -1:]).sum(axis=-1, keepdims=True)
    return np.take_along_axis(ordered, place, axis=-1)[..., 0]


def is_speck(areas: np.ndarray, centroids: np.ndarray, share: float, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Whether an object is smaller than a share of the typical area around it, (K,) bool.

    Law: knows no unit of length: the same for the image at another size. Blind to the order of the objects, but where
    several are equally far.

    Args:
        areas: (K,) pixels.
        centroids: (K, 2).
        share: of the typical area of the nearest objects, itself among them.
        neighbours: how many are asked.
    """
    if not len(areas):
        return np.zeros(0, bool)
    tree, found = KDTree(centroids), np.zeros(len(areas), bool)
    for start in range(0, len(areas), CHUNK):
        _, near = tree.query(centroids[start : start + CHUNK], k=np.arange(1, min(neighbours, len(areas)) + 1))
        found[start : start + CHUNK] = areas[start : start + CHUNK] < share * typical_area(areas[near])
    return found
