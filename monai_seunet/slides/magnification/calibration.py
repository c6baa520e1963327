"""What the scale groups make of an image, and how likely that is at every magnification."""

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

LEAST_FOREGROUND = 1e-3  # share of an image; less says nothing of sizes
STEP = 0.1  # octaves between the magnifications that are compared
RANGE = (-3.5, 1.5)  # octaves of an image beyond those of the calibration: 0.25 µm to 2.8 and 0.09
OWN = 0.5  # share of a magnification's own covariance; the rest is of all, since images are few
RIDGE = 1e-3


def winning_profile(probabilities: torch.Tensor, strategy: str) -> np.ndarray | None:
    """What the scale groups make of an image, in 4 S numbers.

    Of every group the share of the foreground that it decides; the foreground that it finds by itself, relative to the
    fused one; its mean probability there; and the size of what it finds, log2 of area over border in pixels.

    Args:
        probabilities: (1, S, N, H, W).
        strategy: of the fusion.

    Returns:
        (4 S,); None for an image with hardly any foreground.
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
    found = masks.float().mean((1, 2)) / share
    sure = foreground[:, fused].mean(1)
    border = (masks[:, 1:] != masks[:, :-1]).sum((1, 2)) + (masks[:, :, 1:] != masks[:, :, :-1]).sum((1, 2))
    size = ((masks.sum((1, 2)) + 1) / (border + 1)).log2()
    return torch.cat([decided, found, sure, size]).numpy()


@dataclass(frozen=True)
class MppCalibration:
    """How winning profiles are distributed at every magnification, and how well they tell it.

    Args:
        mpp: µm per pixel of the images that it rests on.
        octaves: magnifications of which it knows the profiles, relative to those images; rising, evenly spaced.
        means: mean profile of each.
        covariances: of the profiles of each.
        error: root mean square error of an estimate, in octaves, on patients that were left out.
        right: share of those whose objective was found.
        weights: hash of the network's weights.
        images: how many images it rests on.
        groups: of every magnification, in whole octaves as text, the scale groups that are enough there.
        fusion: strategy by which the profiles and groups were found.
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
        """µm per pixel of an image, under which the profiles of its tiles at several zooms are likeliest.

        Args:
            ladders: of every tile, octaves by which it was enlarged and its profile then.
        """
        candidates = np.arange(round(RANGE[0] / STEP), round(RANGE[1] / STEP) + 1)  # in steps
        total = np.zeros(len(candidates))
        for ladder in ladders:
            total += sum(self._likelihoods(profile, candidates + round(zoom / STEP)) for zoom, profile in ladder)
        return self.mpp / 2 ** (STEP * float(candidates[total.argmax()]))

    def groups_at(self, mpp: float) -> list[int] | None:
        """Indices of the scale groups that are enough at a µm per pixel; None where all are needed, or nobody knows."""
        octave = str(round(math.log2(self.mpp / mpp)))
        return list(self.groups[octave]) if octave in self.groups else None

    def _likelihoods(self, profile: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Logarithms of how likely a profile is at magnifications; beyond those that are known, as at the last one."""
        first, means, whitening, offsets = self._distributions
        at = np.clip(steps - first, 0, len(means) - 1)
        return offsets[at] - 0.5 * (np.einsum("nij,nj->ni", whitening[at], profile - means[at]) ** 2).sum(1)

    @cached_property
    def _distributions(self) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """Normal distributions, interpolated to steps: the first step, means, whitening matrices, offsets."""
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
        """Write it as JSON."""
        return write_text(path, json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> MppCalibration:
        """Read what `save` wrote.

        Raises:
            InputError: where the file is missing or is no calibration.
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
    """Fit a normal distribution at every magnification, its covariance drawn towards that of all.

    Args:
        octaves: (K,) magnification of each profile.
        profiles: (K, 4 S)
        mpp: µm per pixel at magnification 0.
    """
    grid = np.unique(octaves)
    means = np.stack([profiles[octaves == octave].mean(0) for octave in grid])
    rests = profiles - means[np.searchsorted(grid, octaves)]
    pooled = rests.T @ rests / len(rests) + RIDGE * np.eye(profiles.shape[1])
    covariances = []
    for octave in grid:
        own = rests[octaves == octave]
        covariances.append(OWN * own.T @ own / len(own) + (1 - OWN) * pooled)
    return MppCalibration(mpp, grid.tolist(), means.round(6).tolist(), np.round(covariances, 8).tolist())


def load_calibration(model: SlideModel, purpose: str) -> MppCalibration:
    """The calibration of the weights of a model.

    Raises:
        InputError: where there is none, or one of other weights.
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
