"""The stain profile of an image or a slide, a validated record that is stored as JSON."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

TARGET_ANGLE = 10.0  # degrees; the separation of a smaller angle mostly amplifies noise, which a target must not do
MIN_ANGLE = 3.0  # degrees; the stains of a grey, black or single-coloured image are nearly parallel
# Limits of the warnings. In brackets: the extreme values of 355 H&E images of five data sets, see
# scripts/measurements/stain_warnings.py.
WEAK_ANGLE, WIDE_ANGLE = 6.0, 30.0  # degrees (6.3 and 25.7)
# Least surplus of optical density in green over that in red and blue, for stains of length 1.
GREEN_OVER = ((-0.25, -0.1), (0.06, -0.1))  # haematoxylin (-0.18, 0.06), eosin (0.12, -0.06); DAB has -0.28 over blue
LEAST_LIGHT = 0.65  # intensity of the brightest pixels in red and in blue (0.71, 0.82)
MIN_CONCENTRATION = 1e-3  # optical density; 0.001 is a quarter of a grey level, so the stain is absent


class NoTissueError(InputError):
    """An error for an image without two stains: blank, black, of one colour, or nearly empty."""


class StainWarning(NamedTuple):
    """A warning about stains.

    Attributes:
        code: name for programs, the same in all versions.
        text: the problem in one line.
    """

    code: str
    text: str


@dataclass(frozen=True)
class StainProfile:
    """The colours and the largest concentrations of the two stains of an image or a slide.

    Args:
        matrix: optical densities (2, 3) of haematoxylin and eosin in red, green and blue; rows of length 1, at least 0.
        max_concentrations: high percentiles (2,) of the concentrations in the tissue, in optical density.
        method: name of the extractor.
        penalty: sparsity penalty of the concentrations.
        percentile: percentile of `max_concentrations`.
        tissue_pixels: number of pixels in the fit.
        origin: name of the images, for messages.
        brightest: intensity, from 0 to 1, of the brightest pixels in red, green and blue; empty if not measured.

    Raises:
        ValueError: a field has impossible values; the message names it.

    >>> StainProfile(matrix=((0.6, 0.8, 0.0), (0.0, 1.0, 0.0)), max_concentrations=(1.5, 1.0)).angle
    36.86989764584401
    """

    matrix: tuple[tuple[float, ...], ...]
    max_concentrations: tuple[float, ...]
    method: str = "vahadane"
    penalty: float = 0.01
    percentile: float = 99.0
    tissue_pixels: int = 0
    origin: str = ""
    brightest: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        matrix = _numbers("matrix", self.matrix, (2, 3))
        most = _numbers("max_concentrations", self.max_concentrations, (2,))
        if (matrix < 0).any() or (abs(np.linalg.norm(matrix, axis=1) - 1) > 1e-3).any():
            raise ValueError(f"matrix must have non-negative rows of length 1, got {matrix.tolist()}")
        if (most <= MIN_CONCENTRATION).any():
            raise ValueError(f"max_concentrations must be above {MIN_CONCENTRATION:g}, got {most.tolist()}")
        if not 0 <= float(_numbers("penalty", self.penalty, ())) < 1:
            raise ValueError(f"penalty must be in [0, 1), got {self.penalty}")
        if not 0 < float(_numbers("percentile", self.percentile, ())) <= 100:
            raise ValueError(f"percentile must be in (0, 100], got {self.percentile}")
        object.__setattr__(self, "matrix", tuple(tuple(map(float, row)) for row in matrix))
        object.__setattr__(self, "max_concentrations", tuple(map(float, most)))
        light = _numbers("brightest", self.brightest, (3,)) if len(self.brightest) else ()  # older profiles have none
        object.__setattr__(self, "brightest", tuple(map(float, light)))
        if self.angle < MIN_ANGLE:
            raise ValueError(f"the stains of matrix are {self.angle:.1f}° apart: one colour, not two")

    @property
    def angle(self) -> float:
        """Angle between the two stains in optical density, in degrees."""
        haematoxylin, eosin = np.asarray(self.matrix)
        cosine = haematoxylin @ eosin / (np.linalg.norm(haematoxylin) * np.linalg.norm(eosin))
        return math.degrees(math.acos(min(float(cosine), 1.0)))

    @property
    def warning(self) -> StainWarning | None:
        """What users should know about these stains; None for a good profile."""
        if self.brightest and min(self.brightest[0], self.brightest[2]) < LEAST_LIGHT:
            red, _, blue = (f"{100 * light:.0f} %" for light in self.brightest)
            text = (
                f"dark, inverted or with a colour cast: the brightest pixels have {red} of red and {blue} of blue light"
            )
            return StainWarning("colour_cast", text)
        if self.angle < WEAK_ANGLE:
            text = f"haematoxylin and eosin are only {self.angle:.1f}° apart, colours may be noisy"
            return StainWarning("stain_hardly_separable", text)
        if self.angle > WIDE_ANGLE or not self._resembles_he:
            return StainWarning("stain_not_he", "the colours are not those of haematoxylin and eosin")
        return None

    @property
    def _resembles_he(self) -> bool:
        """True if both stains absorb much green, and eosin more green than red."""
        return all(
            green - other >= least
            for (red, green, blue), limits in zip(self.matrix, GREEN_OVER, strict=True)
            for other, least in zip((red, blue), limits, strict=True)
        )

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the matrix (2, 3) and the largest concentrations (2,) as float64."""
        double = torch.float64
        return torch.tensor(self.matrix, dtype=double), torch.tensor(self.max_concentrations, dtype=double)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the profile as JSON in one atomic step."""
        target = Path(path)
        try:
            write_text(target, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(f"{target}: the stain profile cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StainProfile:
        """Read a profile that `save` wrote.

        Raises:
            InputError: the file is missing, is not JSON, or holds other keys or impossible numbers.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: the stain profile cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error}); fit the stain profile again") from error
        names = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or not {"matrix", "max_concentrations"} <= set(content) <= names:
            got = sorted(content) if isinstance(content, dict) else type(content).__name__
            wanted = f"matrix and max_concentrations of {sorted(names)}"
            raise InputError(f"{path}: not a stain profile: needs {wanted}, got {got}")
        try:
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error


def as_target(profile: StainProfile | str | os.PathLike[str]) -> StainProfile:
    """Return a profile, or that of a JSON file, or raise an InputError if its stains are too similar for a target."""
    target = as_profile(profile)
    if target.angle < TARGET_ANGLE:
        name = target.origin if isinstance(profile, StainProfile) else profile
        raise InputError(
            f"{name or 'stain target'}: haematoxylin and eosin are {target.angle:.1f}° apart, a target needs "
            f"{TARGET_ANGLE:g}°; fit the target to an image that shows both stains clearly"
        )
    return target


def warn_of_stains(profile: StainProfile) -> None:
    """Warn if the stains of an image are hard to separate, have a cast, or are not those of H&E."""
    if profile.warning is not None:
        advice = "; fit the profile to a whole slide instead of a tile" if profile.angle < WEAK_ANGLE else ""
        warnings.warn(f"{profile.origin or 'image'}: {profile.warning.text}{advice}", stacklevel=3)


def as_profile(profile: StainProfile | str | os.PathLike[str]) -> StainProfile:
    """Return a profile, or the profile in a JSON file."""
    return profile if isinstance(profile, StainProfile) else StainProfile.load(profile)


def _numbers(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """Convert a value to an array of finite numbers, or raise an error if its shape differs."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got {value}")
    return array
