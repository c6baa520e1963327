"""Outlines of masks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def padded(array: np.ndarray) -> np.ndarray:
    """Add a rim of one zero to a 2-D array; `numpy.pad` is much slower for small arrays."""
    result = np.zeros((array.shape[0] + 2, array.shape[1] + 2), array.dtype)
    result[1:-1, 1:-1] = array
    return result


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill the holes of a mask, and trace its border halfway between the centres of inner and outer pixels.

    Invariant: the pixel centres within the ring are exactly the pixels of the filled mask. The ring is simple.

    Args:
        mask: 4-connected mask (H, W) bool.

    Returns:
        The filled mask, and its ring (P, 2) float32 (y, x). Pixel edges are at integers. The first point is not
        repeated.

    >>> outline(np.ones((1, 1), bool))[1].tolist()
    [[1.0, 0.5], [0.5, 0.0], [0.0, 0.5], [0.5, 1.0]]
    """
    from skimage.measure import find_contours

    rings = find_contours(padded(mask), 0.5)
    if len(rings) > 1:
        mask = ndimage.binary_fill_holes(mask, EIGHT_NEIGHBOURS)
        rings = find_contours(padded(mask), 0.5)
    (ring,) = rings
    return mask, (ring[:-1] - 0.5).astype(np.float32)  # -1 for the padding, +0.5 because pixel edges are at integers
