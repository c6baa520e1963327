"""What counts as a nucleus: in µm for users, in pixels for the computation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_seunet.errors import InputError

SIGMAS = 2.5  # radius of the least nucleus where nobody knows the µm, in units of the group that decided
UNKNOWN_AREA = 16.0  # pixels of it, where there are no groups


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
        min_area: smaller objects are left out, µm².
        radius: of a typical nucleus, µm; foreground of less than its area is not split.
        hole: larger holes are no part of a nucleus, unless they lie within a single one; µm².
        smoothing: sigma of the Gaussian, µm.
        spacing: least distance of peaks, µm.
        saddle: in (0, 1]; 1 splits at every peak.

    Raises:
        InputError: for values out of range.
    """

    threshold: float = 0.5
    min_area: float = 4.0
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
            if not 0 <= getattr(self, name) < math.inf:
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
            min_area=self.min_area / mpp**2,
            whole_area=math.pi * (self.radius / mpp) ** 2,
            hole=round(self.hole / mpp**2),
            smoothing=self.smoothing / mpp,
            spacing=max(1, round(self.spacing / mpp)),
            saddle=self.saddle,
        )

    def at_unknown(self, sigmas: Sequence[float], mpp: float = 0.25) -> PixelRules:
        """The rules in pixels where nobody knows the µm per pixel.

        The least area then follows the scale group that decided a nucleus: a disk of a radius of 2.5 times its sigma
        at the image. What only concerns the watershed is that of the resolution that the network was trained at.

        Args:
            sigmas: of the scale groups, in pixels; none for a network without groups, whose least area is 16 pixels.
            mpp: µm per pixel that the network was trained at.
        """
        areas = tuple(math.pi * (SIGMAS * sigma) ** 2 for sigma in sigmas) or (UNKNOWN_AREA,)
        known = self.at(mpp)
        least = min(areas)
        return known._replace(min_area=least, whole_area=least, group_areas=areas)
