"""Rules that decide which areas are nuclei, in µm for users and in pixels for the computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from monai_seunet.utils.errors import InputError

LEAST_AREA = 4.0  # least area of a nucleus in µm²
# Where the µm per pixel are not known, these three limits take the place of limits in µm:
LEAST_PIXELS = 4.0  # least area of a nucleus in pixels
LEAST_SHARE = 0.1  # least area as a share of the typical area of the nuclei around
WHOLE_PIXELS = 64.0  # smaller areas are not split


class PixelRules(NamedTuple):
    """`NucleusRules` at one resolution.

    Attributes:
        threshold: least foreground probability of a pixel, in 255ths.
        min_area: least area of a nucleus in square pixels.
        whole_area: area in square pixels below which a component is one nucleus.
        hole: largest area in square pixels of a hole that is filled.
        smoothing: sigma of the Gaussian in pixels.
        spacing: least distance of two peaks in rows or columns, in pixels.
        saddle: share of the lower of two peaks; a higher saddle joins the two nuclei.
        min_confidence: least mean foreground probability of a nucleus.
        least_share: least area as a share of the typical area around; 0 where the µm per pixel are known.
    """

    threshold: float
    min_area: float
    whole_area: float
    hole: int
    smoothing: float
    spacing: int
    saddle: float
    min_confidence: float = 0.0
    least_share: float = 0.0


@dataclass(frozen=True)
class NucleusRules:
    """Rules for the separation of nuclei in µm, which hold at every magnification.

    Each nucleus has a peak in the smoothed product of the foreground probability and the distance to the border. Two
    peaks are one nucleus if the saddle between them is higher than `saddle` times the lower peak.

    Args:
        threshold: least foreground probability of a pixel of a nucleus.
        min_area: least area of a nucleus in µm²; None for 4 µm², or for `at_unknown` if the µm are not known.
        radius: radius of a typical nucleus in µm; smaller areas are not split.
        hole: largest area in µm² of a hole between nuclei that is filled. Holes within one nucleus are always filled.
        smoothing: sigma of the Gaussian in µm.
        spacing: least distance of two peaks in µm.
        saddle: share of the lower peak, in (0, 1]; 1 splits at every peak.
        min_confidence: least mean foreground probability of a nucleus; 0 keeps all.

    Raises:
        InputError: a value is out of range.

    >>> NucleusRules(min_area=4.0).at(mpp=0.5).min_area
    16.0
    """

    threshold: float = 0.5
    min_area: float | None = None
    radius: float = 2.0
    hole: float = 2.0
    smoothing: float = 0.5
    spacing: float = 0.75
    saddle: float = 0.93
    min_confidence: float = 0.65

    def __post_init__(self) -> None:
        for name in ("threshold", "saddle"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a value above 0 and at most 1")
        if not 0 <= self.min_confidence <= 1:
            raise InputError(f"min_confidence is {self.min_confidence}; give a value from 0 to 1")
        for name in ("min_area", "radius", "hole", "smoothing", "spacing"):
            value = getattr(self, name)
            if not (0 <= value < math.inf if value is not None else name == "min_area"):
                raise InputError(f"{name} is {getattr(self, name)}; give 0 or more")

    def at(self, mpp: float) -> PixelRules:
        """Return the rules in pixels.

        Args:
            mpp: µm per pixel.

        Raises:
            InputError: `mpp` is not positive.
        """
        if not (mpp > 0 and math.isfinite(mpp)):
            raise InputError(f"mpp is {mpp}; give the µm per pixel, such as 0.25")
        return PixelRules(
            threshold=self.threshold * 255,
            min_area=(LEAST_AREA if self.min_area is None else self.min_area) / mpp**2,
            whole_area=math.pi * (self.radius / mpp) ** 2,
            hole=round(self.hole / mpp**2),
            smoothing=self.smoothing / mpp,
            spacing=max(1, round(self.spacing / mpp)),
            saddle=self.saddle,
            min_confidence=self.min_confidence,
        )

    def at_unknown(self, mpp: float = 0.25) -> PixelRules:
        """Return the rules in pixels for an image whose µm per pixel are not known.

        They are the rules at the resolution of the training images. Without `min_area`, the least area is a few pixels
        and a share of the typical area of the nuclei around, see `is_speck`.

        Args:
            mpp: µm per pixel of the training images.
        """
        rules = self.at(mpp)
        if self.min_area is not None:
            return rules
        return rules._replace(
            min_area=LEAST_PIXELS, whole_area=min(rules.whole_area, WHOLE_PIXELS), least_share=LEAST_SHARE
        )


REASONS = ("small", "unsure", "speck")
SMALL, UNSURE, SPECK = range(3)
LARGEST = 4096  # pixels; larger areas are counted as this one


@dataclass(frozen=True, eq=False)
class LeftOut:
    """D areas that were left out.

    Attributes:
        places: centres (D, 2) float64 of their boxes, y and x.
        areas: areas (D,) int64 in pixels.
        reasons: reasons (D,) int8: `SMALL` for an area below the least area, `UNSURE` for a low mean probability,
            `SPECK` for an area below a share of the typical area around.
    """

    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    reasons: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))

    def __len__(self) -> int:
        return len(self.places)

    def select(self, chosen: np.ndarray) -> LeftOut:
        """Select areas by a mask (D,) bool."""
        return LeftOut(self.places[chosen], self.areas[chosen], self.reasons[chosen])

    def joined(self, other: LeftOut) -> LeftOut:
        """Append other areas."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("places", "areas", "reasons"))
        return LeftOut(*(np.concatenate(pair) for pair in pairs))


class LeftOutTally:
    """Counts of the areas that were left out of a slide; the memory does not depend on their number."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(REASONS), np.int64)
        self._small = np.zeros(LARGEST + 1, np.int64)  # histogram of areas

    def add(self, left_out: LeftOut) -> None:
        """Count the areas of a block."""
        self._counts += np.bincount(left_out.reasons, minlength=len(REASONS))
        small = left_out.areas[left_out.reasons != UNSURE]
        self._small += np.bincount(np.minimum(small, LARGEST), minlength=LARGEST + 1)

    @property
    def counts(self) -> dict[str, int]:
        """Number of areas for each reason."""
        return dict(zip(REASONS, self._counts.tolist(), strict=True))

    @property
    def total(self) -> int:
        """Number of all areas."""
        return int(self._counts.sum())

    @property
    def usual_area(self) -> int:
        """Median area in pixels of the areas that were too small; 0 for none."""
        return int((2 * np.cumsum(self._small) >= self._small.sum()).argmax())


NEIGHBOURS = 12  # few, so a small group of nuclei is not compared with nuclei of another size beside it
CHUNK = 1 << 16  # number of objects whose neighbours are in memory at once


def typical_area(areas: np.ndarray) -> np.ndarray:
    """Return the median of areas (..., K) weighted by area; (...).

    Many specks change it little, unlike the plain median.

    >>> int(typical_area(np.array([1, 1, 1, 1, 50, 60, 70])))
    60
    """
    ordered = np.sort(areas, axis=-1)
    pixels = np.cumsum(ordered, axis=-1)
    middle = (2 * pixels < pixels[..., -1:]).sum(axis=-1, keepdims=True)
    return np.take_along_axis(ordered, middle, axis=-1)[..., 0]


def is_speck(areas: np.ndarray, centroids: np.ndarray, share: float, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Return whether each object is smaller than a share of the typical area around it, (K,) bool.

    Invariant: the size of the image does not change the result. Nor does the order of the objects, except between
    neighbours at equal distance.

    Args:
        areas: areas (K,) in pixels.
        centroids: centroids (K, 2).
        share: least share of the typical area of the nearest objects.
        neighbours: number of nearest objects, the object itself included.
    """
    if not len(areas):
        return np.zeros(0, bool)
    tree, specks = KDTree(centroids), np.zeros(len(areas), bool)
    for start in range(0, len(areas), CHUNK):
        _, near = tree.query(centroids[start : start + CHUNK], k=np.arange(1, min(neighbours, len(areas)) + 1))
        specks[start : start + CHUNK] = areas[start : start + CHUNK] < share * typical_area(areas[near])
    return specks
