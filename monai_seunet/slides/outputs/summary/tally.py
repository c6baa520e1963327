"""Counts of the nuclei of a slide, taken block by block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry

CELLS = 128  # along the longer side of the slide
LEAST_CELL = 64  # working pixels: smaller ones would hold single nuclei
BINS = 2000  # of areas; the last one holds what is larger
BIN_WIDTH = {True: 0.5, False: 8.0}  # µm², or base pixels where µm are unknown


@dataclass(frozen=True)
class Tally:
    """What a summary needs of all nuclei, of a size that does not depend on their number.

    Attributes:
        cell: side of a cell of the maps, in working pixels.
        classes: (N, h, w) nuclei of every class by the cell of their centroid.
        groups: (S, h, w) nuclei of every scale group likewise; S may be 0.
        areas: (BINS,) nuclei by area, in bins of `bin_width`.
        bin_width: µm², or base pixels.
        confidence: mean over the nuclei; 0 without any.
    """

    cell: float
    classes: np.ndarray
    groups: np.ndarray
    areas: np.ndarray
    bin_width: float
    confidence: float

    @property
    def count(self) -> int:
        """All nuclei."""
        return int(self.classes.sum())

    def area_quantile(self, share: float) -> float:
        """The area that this share of the nuclei does not exceed, to half a bin; NaN without nuclei."""
        if not self.count:
            return float("nan")
        reached = np.cumsum(self.areas) >= share * self.count
        return (int(reached.argmax()) + 0.5) * self.bin_width


def tally_objects(blocks: Iterable[Objects], geometry: SlideGeometry) -> Tally:
    """Count nuclei by place, class, scale group and area.

    Args:
        blocks: nuclei of the slide.
        geometry: of the slide.
    """
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
