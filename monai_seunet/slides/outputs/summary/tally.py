"""Counts of the nuclei of a slide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry

CELLS = 128  # cells along the longer side of the slide
LEAST_CELL = 64  # least side of a cell in working pixels; smaller cells would hold single nuclei
BINS = 2000  # bins of areas; the last bin includes all larger areas
BIN_WIDTH = {True: 0.5, False: 8.0}  # µm², or base pixels if the µm are not known


@dataclass(frozen=True)
class Tally:
    """Counts of nuclei for a summary; the memory does not depend on their number.

    Attributes:
        cell: side of a cell of the maps, in working pixels.
        classes: counts (N, h, w) by class and by cell of the centroid.
        groups: counts (S, h, w) by scale group and cell; S may be 0.
        areas: counts (BINS,) by area, in bins of `bin_width`.
        bin_width: width of a bin in µm², or in base pixels.
        confidence: mean confidence of the nuclei; 0 without nuclei.
    """

    cell: float
    classes: np.ndarray
    groups: np.ndarray
    areas: np.ndarray
    bin_width: float
    confidence: float

    @property
    def count(self) -> int:
        """Number of all nuclei."""
        return int(self.classes.sum())

    def area_quantile(self, share: float) -> float:
        """Return a quantile of the areas, to half a bin; NaN without nuclei."""
        if not self.count:
            return float("nan")
        reached = np.cumsum(self.areas) >= share * self.count
        return (int(reached.argmax()) + 0.5) * self.bin_width


def tally_objects(blocks: Iterable[Objects], geometry: SlideGeometry) -> Tally:
    """Count the nuclei of a slide by cell, class, scale group and area."""
    cell = max(LEAST_CELL, max(geometry.size) / CELLS)
    height, width = (max(1, int(np.ceil(length / cell))) for length in geometry.size)
    classes = np.zeros((len(geometry.classes), height, width), np.int64)
    groups = np.zeros((len(geometry.sigmas), height, width), np.int64)
    bin_width = BIN_WIDTH[geometry.mpp is not None]
    areas, confidence = np.zeros(BINS, np.int64), 0.0
    for objects in blocks:
        y, x = np.minimum(objects.centroids / cell, [height - 0.5, width - 0.5]).astype(np.int64).T
        np.add.at(classes, (objects.classes - 1, y, x), 1)
        known = (objects.groups >= 0) & (objects.groups < len(groups))
        np.add.at(groups, (objects.groups[known], y[known], x[known]), 1)
        bins = np.minimum(geometry.area(objects.areas) / bin_width, BINS - 1).astype(np.int64)
        areas += np.bincount(bins, minlength=BINS)
        confidence += float(objects.confidences.sum())
    return Tally(cell, classes, groups, areas, bin_width, confidence / max(1, int(classes.sum())))
