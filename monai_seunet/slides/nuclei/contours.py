"""Outlines of masks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.foreground import EIGHT_NEIGHBOURS, padded


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill the holes of a mask and trace its exterior, halfway between the centres of its pixels and their neighbours.

    Law: the pixel centres within the ring are exactly the pixels of the filled mask; the ring is simple.

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
