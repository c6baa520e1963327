"""What is known of the staining of an image or a slide, as a small validated record that lives in a JSON file."""

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

# Well-stained H&E images have 14 to 21 degrees between the stains; below this the separation mostly amplifies noise.
GOOD_ANGLE = 10.0
# Nearly parallel stains (a grey, black or single-coloured image) cannot be separated at all.
MIN_ANGLE = 3.0
# A stain of smaller concentration is not there: optical density 0.001 is a quarter of a grey level.
MIN_CONCENTRATION = 1e-3


class NoTissueError(InputError):
    """An image from which no stain profile can be estimated: blank, black, of one colour, or nearly empty."""


@dataclass(frozen=True)
class StainProfile:
    """The colours of the two stains of an image or a slide, and how much of each there is.

    Args:
        matrix: haematoxylin, then eosin: optical density in red, green and blue; non-negative rows of length 1.
        max_concentrations: high percentile of each stain's concentration over the tissue; units of optical density.
        method: name of the extractor that found the matrix.
        penalty: sparsity penalty with which concentrations are computed.
        percentile: the percentile of `max_concentrations`.
        tissue_pixels: how many pixels it rests on.
        origin: which images these were, for people.

    Raises:
        ValueError: for numbers that no image can have; the message names the field.
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
        """Degrees between the two stains, in optical density."""
        haematoxylin, eosin = np.asarray(self.matrix)
        cosine = haematoxylin @ eosin / (np.linalg.norm(haematoxylin) * np.linalg.norm(eosin))
        return math.degrees(math.acos(min(float(cosine), 1.0)))

    @property
    def warning(self) -> str:
        """What to be aware of, for people; empty where the stains are told apart well."""
        weak = self.angle < GOOD_ANGLE
        return f"haematoxylin and eosin are only {self.angle:.1f}° apart, colours may be noisy" if weak else ""

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrix (2, 3) and the largest concentrations (2,) in float64."""
        double = torch.float64
        return torch.tensor(self.matrix, dtype=double), torch.tensor(self.max_concentrations, dtype=double)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the profile as JSON, at once or not at all."""
        target = Path(path)
        try:
            write_text(target, json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(f"{target}: the stain profile cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> StainProfile:
        """Read a profile that `save` wrote.

        Raises:
            InputError: for a file that is missing, is not JSON, or holds other keys or impossible numbers.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: the stain profile cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error}); fit the stain profile again") from error
        known = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or not {"matrix", "max_concentrations"} <= set(content) <= known:
            got = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise InputError(
                f"{path}: not a stain profile: needs matrix and max_concentrations of {sorted(known)}, got {got}"
            )
        try:
            return cls(**content)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: {error}") from error


def as_target(profile: StainProfile | str | os.PathLike[str]) -> StainProfile:
    """A profile, or the profile in a file, fit to be what images are normalised to.

    Raises:
        InputError: where its stains are too close to each other, or for a file that `StainProfile.load` refuses.
    """
    target = as_profile(profile)
    if target.angle < GOOD_ANGLE:
        name = target.origin if isinstance(profile, StainProfile) else profile
        raise InputError(
            f"{name or 'stain target'}: haematoxylin and eosin are {target.angle:.1f}° apart, a target needs "
            f"{GOOD_ANGLE:g}°; fit the target from an image in which both stains are plain"
        )
    return target


def warn_if_weak(profile: StainProfile) -> None:
    """Warn where the stains of an image are so close that its separated colours will be noisy."""
    if profile.warning:
        text = f"{profile.origin or 'image'}: {profile.warning}"
        warnings.warn(f"{text}; the profile of a whole slide is safer than that of a tile", stacklevel=3)


def as_profile(profile: StainProfile | str | os.PathLike[str]) -> StainProfile:
    """A profile, or the profile in a JSON file."""
    return profile if isinstance(profile, StainProfile) else StainProfile.load(profile)


def _numbers(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """Finite numbers of a given shape."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full((), np.nan)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got {value}")
    return array
