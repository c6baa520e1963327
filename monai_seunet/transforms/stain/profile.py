"""The stain profile of an image or a slide, a validated record that is stored as JSON."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

GOOD_ANGLE = 10.0  # degrees; H&E images have 14 to 21, and the separation of a smaller angle mostly amplifies noise
MIN_ANGLE = 3.0  # degrees; the stains of a grey, black or single-coloured image are nearly parallel
MIN_CONCENTRATION = 1e-3  # optical density; 0.001 is a quarter of a grey level, so the stain is absent


class NoTissueError(InputError):
    """An error for an image without two stains: blank, black, of one colour, or nearly empty."""


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
        if self.angle < MIN_ANGLE:
            raise ValueError(f"the stains of matrix are {self.angle:.1f}° apart: one colour, not two")

    @property
    def angle(self) -> float:
        """Angle between the two stains in optical density, in degrees."""
        haematoxylin, eosin = np.asarray(self.matrix)
        cosine = haematoxylin @ eosin / (np.linalg.norm(haematoxylin) * np.linalg.norm(eosin))
        return math.degrees(math.acos(min(float(cosine), 1.0)))

    @property
    def warning(self) -> str:
        """A message for users about stains that are hard to separate; empty for a good profile."""
        is_weak = self.angle < GOOD_ANGLE
        return f"haematoxylin and eosin are only {self.angle:.1f}° apart, colours may be noisy" if is_weak else ""

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
    if target.angle < GOOD_ANGLE:
        name = target.origin if isinstance(profile, StainProfile) else profile
        raise InputError(
            f"{name or 'stain target'}: haematoxylin and eosin are {target.angle:.1f}° apart, a target needs "
            f"{GOOD_ANGLE:g}°; fit the target to an image that shows both stains clearly"
        )
    return target


def warn_if_weak(profile: StainProfile) -> None:
    """Warn if the stains of an image are so similar that its separated colours will be noisy."""
    if profile.warning:
        text = f"{profile.origin or 'image'}: {profile.warning}"
        warnings.warn(f"{text}; fit the profile to a whole slide instead of a tile", stacklevel=3)


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
