"""Profiles of the scale groups of an image, and their distribution at every magnification."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from monai_seunet.fusion import fuse, group_weights, winning_scale
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

LEAST_FOREGROUND = 1e-3  # least share of foreground in an image; less tells nothing about sizes
STEP = 0.1  # octaves between the candidates
RANGE = (-3.5, 1.5)  # range of the candidates in octaves; at 0.25 µm per pixel it is 2.8 to 0.09
OWN = 0.5  # weight of the covariance of one magnification; the pooled covariance has the rest, as images are few
RIDGE = 1e-3


def winning_profile(probabilities: torch.Tensor, strategy: str) -> np.ndarray | None:
    """Return 4 numbers for each scale group that depend on the magnification.

    They are the share of the foreground that the group wins, its own foreground relative to the fused foreground, its
    mean probability in the fused foreground, and log2 of area over border length of its foreground, in pixels.

    Args:
        probabilities: probabilities (1, S, N, H, W).
        strategy: fusion strategy.

    Returns:
        Profile (4 S,); None for an image with almost no foreground.
    """
    foreground = 1 - probabilities[0, :, 0]  # (S, H, W)
    weights = group_weights(probabilities, strategy)
    fused = fuse(probabilities, strategy, weights)[0, 0] < 0.5
    share = float(fused.float().mean())
    if share < LEAST_FOREGROUND:
        return None
    winners = winning_scale(probabilities, strategy, weights)[0, 0][fused]
    decided = torch.bincount(winners, minlength=len(foreground)) / len(winners)
    masks = foreground > 0.5
    relative = masks.float().mean((1, 2)) / share
    sure = foreground[:, fused].mean(1)
    border = (masks[:, 1:] != masks[:, :-1]).sum((1, 2)) + (masks[:, :, 1:] != masks[:, :, :-1]).sum((1, 2))
    size = ((masks.sum((1, 2)) + 1) / (border + 1)).log2()
    return torch.cat([decided, relative, sure, size]).numpy()


@dataclass(frozen=True)
class MppCalibration:
    """Distribution of winning profiles at every magnification, and the accuracy of the estimate.

    Args:
        mpp: µm per pixel of the calibration images.
        octaves: magnifications with a distribution, relative to the calibration images; rising, evenly spaced.
        means: mean profile of each magnification.
        covariances: covariance of the profiles of each magnification.
        error: root mean square error of the estimate in octaves, on patients that were left out.
        right: share of images whose objective was estimated correctly.
        weights: hash of the network's weights.
        images: number of calibration images.
        groups: sufficient scale groups for each magnification, which is a string of whole octaves.
        fusion: fusion strategy of the calibration.
    """

    mpp: float
    octaves: Sequence[float]
    means: Sequence[Sequence[float]]
    covariances: Sequence[Sequence[Sequence[float]]]
    error: float = math.nan
    right: float = math.nan
    weights: str = ""
    images: int = 0
    groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    fusion: str = ""

    def pixel_size(self, ladders: Iterable[Sequence[tuple[float, np.ndarray]]]) -> float:
        """Return the most likely µm per pixel of an image, by the profiles of its tiles at several zooms.

        Args:
            ladders: pairs (octaves of the zoom, profile) for each tile.
        """
        candidates = np.arange(round(RANGE[0] / STEP), round(RANGE[1] / STEP) + 1)  # in steps
        total = np.zeros(len(candidates))
        for ladder in ladders:
            total += sum(self._likelihoods(profile, candidates + round(zoom / STEP)) for zoom, profile in ladder)
        return self.mpp / 2 ** (STEP * float(candidates[total.argmax()]))

    def groups_at(self, mpp: float) -> list[int] | None:
        """Return indices of the sufficient scale groups at `mpp`; None if the calibration has none for it."""
        octave = str(round(math.log2(self.mpp / mpp)))
        return list(self.groups[octave]) if octave in self.groups else None

    def _likelihoods(self, profile: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return log-likelihoods of a profile at magnifications; outside the calibrated range, the ends are used."""
        first, means, whitening, offsets = self._distributions
        at = np.clip(steps - first, 0, len(means) - 1)
        return offsets[at] - 0.5 * (np.einsum("nij,nj->ni", whitening[at], profile - means[at]) ** 2).sum(1)

    @cached_property
    def _distributions(self) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """First step, means, whitening matrices and offsets of normal distributions, interpolated to steps."""
        octaves = np.array(self.octaves)
        fine = STEP * np.arange(round(octaves[0] / STEP), round(octaves[-1] / STEP) + 1)
        left = np.clip(np.searchsorted(octaves, fine, "right") - 1, 0, len(octaves) - 2)
        share = ((fine - octaves[left]) / np.diff(octaves)[left])[:, None]
        means, covariances = np.array(self.means), np.array(self.covariances)
        mean = (1 - share) * means[left] + share * means[left + 1]
        covariance = (1 - share)[..., None] * covariances[left] + share[..., None] * covariances[left + 1]
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        offsets = np.log(np.diagonal(whitening, axis1=1, axis2=2)).sum(1)
        return round(octaves[0] / STEP), mean, whitening, offsets

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
                "the slides' µm per pixel"
            ) from error
        except (OSError, TypeError, ValueError) as error:
            raise InputError(f"{path}: no calibration ({error}); make it again by 'monai-seunet calibrate'") from error


def fit_calibration(octaves: np.ndarray, profiles: np.ndarray, mpp: float) -> MppCalibration:
    """Fit a normal distribution for every magnification, with the covariance shrunk towards the pooled covariance.

    Args:
        octaves: magnification (K,) of each profile, in octaves.
        profiles: profiles (K, 4 S).
        mpp: µm per pixel at magnification 0.
    """
    grid = np.unique(octaves)
    means = np.stack([profiles[octaves == octave].mean(0) for octave in grid])
    rests = profiles - means[np.searchsorted(grid, octaves)]
    pooled = rests.T @ rests / len(rests) + RIDGE * np.eye(profiles.shape[1])
    covariances = []
    for octave in grid:
        rest = rests[octaves == octave]
        covariances.append(OWN * rest.T @ rest / len(rest) + (1 - OWN) * pooled)
    return MppCalibration(mpp, grid.tolist(), means.round(6).tolist(), np.round(covariances, 8).tolist())


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
