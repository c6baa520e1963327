"""Shape of nuclei: perimeter, eccentricity and solidity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from monai_seunet.slides.nuclei.outline import padded


def perimeters(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the perimeters (K,) float64 of masks in pixels, by the formula of Crofton in four directions.

    The length of a curve follows from the number of its intersections with parallel lines. Discs get their perimeter
    within 3 %, and 1 % less in the mean; the outline along the pixels would be 5 % too long.

    Args:
        masks: K masks (h, w) bool.

    References:
        Lehmann & Legland, Efficient N-dimensional surface estimation using Crofton formula, 2012; the same values as
        `perimeter_crofton` of scikit-image.
    """
    lengths = np.zeros(len(masks))
    for k, mask in enumerate(masks):
        inside = padded(mask)
        straight = np.count_nonzero(inside[:, 1:] != inside[:, :-1]) + np.count_nonzero(inside[1:] != inside[:-1])
        oblique = np.count_nonzero(inside[1:, 1:] != inside[:-1, :-1])
        oblique += np.count_nonzero(inside[1:, :-1] != inside[:-1, 1:])
        lengths[k] = math.pi / 8 * (straight + oblique / math.sqrt(2))  # oblique lines are 1/√2 apart
    return lengths


def eccentricities(rows: np.ndarray, columns: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """Return the eccentricities (count,) float64 of the ellipses with the second moments of the nuclei.

    A circle has 0, a line 1. Sums of integers are exact, so the result does not depend on the place.

    Args:
        rows: row of each pixel in the box of its nucleus.
        columns: column of each pixel in the box of its nucleus.
        owner: number of the nucleus of each pixel, from 0.
        count: number of nuclei.

    >>> eccentricities(np.zeros(3), np.arange(3), np.zeros(3, int), 1).tolist()
    [1.0]
    """

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, count)

    pixels = np.maximum(np.bincount(owner, minlength=count), 1)
    y, x = total(rows), total(columns)
    yy, xx = pixels * total(rows * rows) - y * y, pixels * total(columns * columns) - x * x
    yx = pixels * total(rows * columns) - y * x
    middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    long, short = middle + half, np.maximum(middle - half, 0)
    return np.sqrt(1 - short / np.where(long > 0, long, 1)) * (long > 0)


def solidities(rings: Sequence[np.ndarray]) -> np.ndarray:
    """Return the areas within outlines, each divided by the area of its convex hull, (K,) float64; 1 is convex.

    Args:
        rings: K rings (P, 2) without the first point repeated, at the origin of their box, where halves are exact.
    """
    import shapely

    if not len(rings):
        return np.zeros(0)
    owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    polygons = shapely.polygons(shapely.linearrings(np.concatenate(rings).astype(np.float64), indices=owner))
    return shapely.area(polygons) / shapely.area(shapely.convex_hull(polygons))
