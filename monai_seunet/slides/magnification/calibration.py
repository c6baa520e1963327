"""Regression of the magnification on the nuclei that a network finds, with its error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.slides.magnification.resolution import likely_objective
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

RIDGE = 0.02  # strength of the regularisation, relative to the variance of each feature
# Means of two laboratories differ, which no calibration on one of them can know: a calibration on TNBC estimates GlaS
# 0.4 octaves too small on average, and MoNuSeg 0.1 octaves or less at 40x. Chosen on these three data sets.
LABORATORIES = 0.25
NORMAL_95 = 1.96  # standard errors on each side of a 95 % interval


class Profile(NamedTuple):
    """What the nuclei of an image say about its magnification.

    Attributes:
        features: numbers of `nuclei_features` at each zoom, one after the other.
        nuclei: approximate number of nuclei.
    """

    features: np.ndarray
    nuclei: float


class MppEstimate(NamedTuple):
    """Estimated µm per pixel.

    Attributes:
        mpp: most likely µm per pixel.
        error: standard error in octaves, for an image of another laboratory.

    >>> estimate = MppEstimate(0.26, 0.3)
    >>> [round(end, 2) for end in estimate.interval], estimate.objective
    ([0.17, 0.39], 40.0)
    """

    mpp: float
    error: float

    @classmethod
    def of_interval(cls, low: float, high: float) -> MppEstimate:
        """Return the estimate of a 95 % interval."""
        return cls(math.sqrt(low * high), math.log2(high / low) / 2 / NORMAL_95)

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval in µm per pixel."""
        factor = 2 ** (NORMAL_95 * self.error)
        return self.mpp / factor, self.mpp * factor

    @property
    def objective(self) -> float:
        """Most likely objective, such as 40 for 40x."""
        return likely_objective(self.mpp, self.error)[0]

    @property
    def probability(self) -> float:
        """Probability of this objective."""
        return likely_objective(self.mpp, self.error)[1]


@dataclass(frozen=True)
class MppCalibration:
    """Linear regression of the magnification, and the accuracy of the estimate.

    The octaves of an image relative to `mpp` are `intercept` plus the sum of `coefficients` times its features. Their
    variance is that of an image with many nuclei, plus a part that is divided by the number of nuclei.

    Args:
        mpp: µm per pixel of the calibration images.
        intercept: octaves at features of 0.
        coefficients: octaves for each feature of a `Profile`.
        variance: variance of the error in octaves: of an image with many nuclei, and of a single nucleus.
        error: root mean square error of the estimate in octaves, on patients that were left out.
        right: share of these images whose objective was estimated correctly.
        covered: share of these images whose µm per pixel lie in the 95 % interval.
        weights: hash of the network's weights.
        images: number of calibration images.
        groups: sufficient scale groups for each magnification, which is a string of whole octaves.
        fusion: fusion strategy of the calibration.
    """

    mpp: float
    intercept: float
    coefficients: Sequence[float]
    variance: Sequence[float] = (0.0, 0.0)
    error: float = math.nan
    right: float = math.nan
    covered: float = math.nan
    weights: str = ""
    images: int = 0
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    fusion: str = ""

    def estimate(self, profile: Profile) -> MppEstimate:
        """Return the µm per pixel of an image."""
        octaves = self.intercept + float(np.dot(self.coefficients, profile.features))
        variance = self.variance[0] + self.variance[1] / max(profile.nuclei, 1.0) + LABORATORIES**2
        return MppEstimate(self.mpp / 2**octaves, math.sqrt(variance))

    def groups_at(self, mpp: float) -> list[int] | None:
        """Return indices of the sufficient scale groups at `mpp`; None if the calibration has none for it."""
        octave = str(round(math.log2(self.mpp / mpp)))
        return list(self.groups[octave]) if octave in self.groups else None

    def save(self, path: str | Path) -> Path:
        """Write the calibration as JSON."""
        return write_text(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> MppCalibration:
        """Read a file that `save` wrote.

        Raises:
            InputError: the file is missing or is no calibration.
        """
        try:
            return cls(**json.loads(Path(path).read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise InputError(
                f"{path}: no such file; make it by 'monai-seunet calibrate' on images of known µm per pixel, or give "
                "the images' µm per pixel"
            ) from error
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no calibration ({error}); make it again by 'monai-seunet calibrate'") from error


def fit_calibration(octaves: np.ndarray, features: np.ndarray, mpp: float) -> MppCalibration:
    """Fit a ridge regression, whose penalty does not depend on the units of the features.

    Args:
        octaves: magnification (K,) of each image, in octaves.
        features: features (K, F).
        mpp: µm per pixel at magnification 0.

    >>> octaves = np.array([-2.0, -1.0, 0.0])
    >>> round(fit_calibration(octaves, octaves[:, None] + 3, mpp=0.25).coefficients[0], 2)
    0.98
    """
    mean, spread = features.mean(0), features.std(0) + 1e-6
    scaled = (features - mean) / spread
    gram = scaled.T @ scaled / len(scaled) + RIDGE * np.eye(len(mean))
    coefficients = np.linalg.solve(gram, scaled.T @ (octaves - octaves.mean()) / len(scaled)) / spread
    return MppCalibration(mpp, float(octaves.mean() - mean @ coefficients), coefficients.tolist())


def load_calibration(model: SlideModel, purpose: str) -> MppCalibration:
    """Read the calibration of a model.

    Raises:
        InputError: the model has no calibration, or one of other weights.
    """
    if model.calibration is None:
        raise InputError(f"{purpose}, which needs the file of 'monai-seunet calibrate'")
    calibration = MppCalibration.load(model.calibration)
    if calibration.weights != model.weights:
        raise InputError(f"{model.calibration}: made for other weights; make it again by 'monai-seunet calibrate'")
    if not calibration.fusion:
        raise InputError(
            f"{model.calibration}: does not say by which fusion it was made; make it again by 'monai-seunet calibrate'"
        )
    return calibration
