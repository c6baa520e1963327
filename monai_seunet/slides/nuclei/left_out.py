"""Areas that were found on a slide and are no nuclei, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import KDTree

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
