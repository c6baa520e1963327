"""Which areas are nuclei (rules in µm for users, in pixels for the computation), and why the others are left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from monai_seunet.utils.errors import InputError

LEAST_AREA = 4.0  # µm²
LEAST_PIXELS = 4.0  # where nobody knows the µm, and besides:
LEAST_SHARE = 0.1  # of the typical area of the nuclei around
WHOLE_PIXELS = 64.0  # areas of fewer pixels are not split there


class PixelRules(NamedTuple):
    """`NucleusRules` at one resolution.

    Attributes:
        threshold: least foreground probability, in 255ths.
        min_area: pixels.
        whole_area: areas of fewer pixels are one nucleus.
        hole: holes of at most this many pixels are filled.
        smoothing: sigma of the Gaussian over the distances, in pixels.
        spacing: two peaks are further apart than this many rows or columns.
        saddle: share of the lower of two peaks; nuclei whose border rises above it are one.
        min_confidence: least mean foreground probability of a nucleus.
        least_share: of the typical area around it that a nucleus has at least; 0 where the µm per pixel are known.
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
    """How single nuclei are told apart, in µm, so that the same rules serve every magnification.

    The distance to the border of the foreground times its probability, smoothed, has a peak in every nucleus; where the
    way from a peak to the next one goes down by less than 1 - `saddle` of the lower peak, both are one nucleus.

    Args:
        threshold: least foreground probability of a pixel of a nucleus.
        min_area: smaller objects are left out, µm²; None for 4 µm² where the µm are known, else see `at_unknown`.
        radius: of a typical nucleus, µm; foreground of less than its area is not split.
        hole: larger holes are no part of a nucleus, unless they lie within a single one; µm².
        smoothing: sigma of the Gaussian, µm.
        spacing: least distance of peaks, µm.
        saddle: in (0, 1]; 1 splits at every peak.
        min_confidence: least mean foreground probability of a nucleus; 0 keeps all.

    Raises:
        InputError: for values out of range.
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
        """The rules in pixels.

        Args:
            mpp: µm per pixel.

        Raises:
            InputError: where it is not positive.
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
        """The rules in pixels where nobody knows the µm per pixel.

        They are those of the resolution that the network was trained at. But where no least area is given, it is a few
        pixels, and a share of the typical area of the nuclei around, see `specks.is_speck`.

        Args:
            mpp: µm per pixel that the network was trained at.
        """
        rules = self.at(mpp)
        if self.min_area is not None:
            return rules
        return rules._replace(
            min_area=LEAST_PIXELS, whole_area=min(rules.whole_area, WHOLE_PIXELS), least_share=LEAST_SHARE
        )


REASONS = ("small", "unsure", "speck")
SMALL, UNSURE, SPECK = range(3)
LARGEST = 4096  # pixels: larger areas are counted as this


@dataclass(frozen=True, eq=False)
class LeftOut:
    """D areas that were left out.

    Attributes:
        places: (D, 2) float64 (y, x) of their middles.
        areas: (D,) int64 pixels.
        reasons: (D,) int8: `SMALL` than the least area, `UNSURE` as to their mean probability, or a `SPECK` among the
            nuclei around, which is smaller than a share of them.
    """

    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    areas: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    reasons: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int8))

    def __len__(self) -> int:
        return len(self.places)

    def select(self, chosen: np.ndarray) -> LeftOut:
        """Some of them.

        Args:
            chosen: (D,) bool.
        """
        return LeftOut(self.places[chosen], self.areas[chosen], self.reasons[chosen])

    def joined(self, other: LeftOut) -> LeftOut:
        """These, then the others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("places", "areas", "reasons"))
        return LeftOut(*(np.concatenate(pair) for pair in pairs))


class LeftOutTally:
    """Counts of what was left out of a slide, taken block by block, of a size that does not depend on their number."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(REASONS), np.int64)
        self._small = np.zeros(LARGEST + 1, np.int64)  # by area

    def add(self, left_out: LeftOut) -> None:
        """Count those of a block."""
        self._counts += np.bincount(left_out.reasons, minlength=len(REASONS))
        small = left_out.areas[left_out.reasons != UNSURE]
        self._small += np.bincount(np.minimum(small, LARGEST), minlength=LARGEST + 1)

    @property
    def counts(self) -> dict[str, int]:
        """How many were left out, by the reason."""
        return dict(zip(REASONS, self._counts.tolist(), strict=True))

    @property
    def total(self) -> int:
        """All of them."""
        return int(self._counts.sum())

    @property
    def usual_area(self) -> int:
        """Median area in pixels of those that were too small; 0 where there are none."""
        return int((2 * np.cumsum(self._small) >= self._small.sum()).argmax())


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

    Invariant: knows no unit of length: the same for the image at another size. Blind to the order of the objects, but
    where several are equally far.

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


HALF = 0.5  # corners of contours lie at whole and half pixels
