"""What counts as a nucleus: in µm for users, in pixels for the computation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_seunet.errors import InputError

LEAST_AREA = 4.0  # µm²
LEAST_SIGMAS = 3.0  # radius of the least nucleus where nobody knows the µm, in sigmas of the group that decided
LEAST_PIXELS = 16.0  # its area, where there are no groups


class PixelRules(NamedTuple):
    """`NucleusRules` at one resolution.

    Attributes:
        threshold: least foreground probability, in 255ths.
        min_area: pixels; of the finest scale group, where `group_areas` are given.
        whole_area: areas of fewer pixels are one nucleus.
        hole: holes of at most this many pixels are filled.
        smoothing: sigma of the Gaussian over the distances, in pixels.
        spacing: two peaks are further apart than this many rows or columns.
        saddle: share of the lower of two peaks; nuclei whose border rises above it are one.
        group_areas: least pixels of a nucleus that each scale group decided; None for `min_area`.
    """

    threshold: float
    min_area: float
    whole_area: float
    hole: int
    smoothing: float
    spacing: int
    saddle: float
    group_areas: tuple[float, ...] | None = None

    def least_areas(self, groups: np.ndarray) -> np.ndarray:
        """Least pixels of nuclei (K,) that these groups decided, -1 where none is known."""
        if self.group_areas is None:
            return np.full(len(groups), self.min_area)
        known = np.array([*self.group_areas, self.min_area])  # the last one for -1
        return known[np.where(groups < len(self.group_areas), groups, -1)]


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

    def __post_init__(self) -> None:
        for name in ("threshold", "saddle"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give a value above 0 and at most 1")
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
        )

    def at_unknown(self, sigmas: Sequence[float], mpp: float = 0.25) -> PixelRules:
        """The rules in pixels where nobody knows the µm per pixel.

        They are those of the resolution that the network was trained at. But where no least area is given, it follows
        the scale group that decided a nucleus: a disk of a radius of 3 sigmas of its first layer.

        Args:
            sigmas: of the scale groups, in pixels; none for a network without groups, whose least area is 16 pixels.
            mpp: µm per pixel that the network was trained at.
        """
        rules = self.at(mpp)
        if self.min_area is not None:
            return rules
        areas = tuple(math.pi * (LEAST_SIGMAS * sigma) ** 2 for sigma in sigmas) or (LEAST_PIXELS,)
        least = min(areas)
        return rules._replace(min_area=least, whole_area=min(rules.whole_area, 4 * least), group_areas=areas)
