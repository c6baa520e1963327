"""Calibration of a network on images of known µm per pixel, with its error on patients that were left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import nnls

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.magnification.calibration import MppCalibration, MppEstimate, Profile, fit_calibration
from monai_seunet.slides.magnification.estimate_mpp import profile_of
from monai_seunet.slides.magnification.resolution import likely_objective
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

RESOLUTIONS = (0, -1, -2)  # octaves by which calibration images are reduced: images of 40x give 20x and 10x
EXACT = 1e-3  # error in octaves of a given magnification

Subject = tuple[str, int, Profile]  # patient, octaves, profile
Image = tuple[str, torch.Tensor]  # patient, prepared pixels (C, H, W)


class Accuracy(NamedTuple):
    """How well estimates agree with the truth.

    Attributes:
        error: root mean square error in octaves.
        right: share of the images whose objective was estimated correctly.
        covered: share of the images whose µm per pixel lie in the 95 % interval.
    """

    error: float
    right: float
    covered: float


def calibrate_network(
    network: Network, strategy: str, images: Sequence[Image], mpp: float, weights: str
) -> MppCalibration:
    """Fit the regression, and measure its error by cross-validation over patients.

    Args:
        network: network with scale groups, in evaluation mode.
        strategy: fusion strategy.
        images: group (patient) and prepared pixels (C, H, W) of each image.
        mpp: µm per pixel of the images.
        weights: hash of the network's weights.

    Raises:
        InputError: the network has no scale groups, or fewer than three patients have nuclei.
    """
    if network.num_scales < 2:
        raise InputError(
            f"{type(network).__name__} has no scale groups, so it finds nuclei of one magnification only, and the µm "
            "per pixel cannot be estimated"
        )
    subjects = _subjects(network, strategy, images)
    groups = sorted({group for group, _, _ in subjects})
    if len(groups) < 3:
        raise InputError(f"{len(groups)} patient(s) with nuclei; a calibration needs three or more")
    left_out: list[tuple[MppEstimate, int, Profile]] = []
    for group in groups:
        fitted = _fit([subject for subject in subjects if subject[0] != group], mpp)
        left_out += [(fitted.estimate(profile), octaves, profile) for g, octaves, profile in subjects if g == group]
    errors = np.array([np.log2(estimate.mpp / mpp) + octaves for estimate, octaves, _ in left_out])
    nuclei = np.array([max(profile.nuclei, 1.0) for _, _, profile in left_out])
    variance = nnls(np.stack([np.ones_like(nuclei), 1 / nuclei], 1), errors**2)[0].round(6).tolist()
    found = replace(_fit(subjects, mpp), variance=variance, images=len(images), weights=weights, fusion=strategy)
    pairs = [
        (estimate._replace(error=found.estimate(profile).error), mpp / 2**octaves)
        for estimate, octaves, profile in left_out
    ]
    return replace(found, **accuracy_of(pairs)._asdict())


def judge_calibration(network: Network, calibration: MppCalibration, images: Sequence[Image], mpp: float) -> Accuracy:
    """Return the accuracy on images of another laboratory.

    Args:
        network: calibrated network.
        calibration: calibration of the network.
        images: group (patient) and prepared pixels (C, H, W) of each image.
        mpp: µm per pixel of the images.
    """
    subjects = _subjects(network, calibration.fusion, images)
    return accuracy_of([(calibration.estimate(profile), mpp / 2**octaves) for _, octaves, profile in subjects])


def accuracy_of(pairs: Sequence[tuple[MppEstimate, float]]) -> Accuracy:
    """Return the accuracy of estimates.

    Args:
        pairs: estimate and true µm per pixel of each image.

    >>> accuracy_of([(MppEstimate(0.25, 0.3), 0.25), (MppEstimate(0.25, 0.3), 0.5)])
    Accuracy(error=0.7071067811865476, right=0.5, covered=0.5)
    """
    errors = [np.log2(estimate.mpp / truth) for estimate, truth in pairs]
    right = [estimate.objective == likely_objective(truth, EXACT)[0] for estimate, truth in pairs]
    covered = [estimate.interval[0] <= truth <= estimate.interval[1] for estimate, truth in pairs]
    return Accuracy(float(np.sqrt(np.mean(np.square(errors)))), float(np.mean(right)), float(np.mean(covered)))


def _subjects(network: Network, strategy: str, images: Sequence[Image]) -> list[Subject]:
    """Return the profiles of the images at every resolution, without those that have no nuclei."""
    subjects = []
    for group, image in progress_bar(images, desc="calibrate", unit="image"):
        for octaves in RESOLUTIONS:
            profile = _reduced_profile(network, strategy, image, octaves)
            if profile is not None:
                subjects.append((group, octaves, profile))
    return subjects


def _reduced_profile(network: Network, strategy: str, image: torch.Tensor, octaves: int) -> Profile | None:
    """Return the profile of the four quarters of an image that was reduced by averaging."""
    pixels = F.avg_pool2d(image[None], 2**-octaves)[0] if octaves else image
    height, width = pixels.shape[-2:]

    def read(y: int, x: int, rows: int, columns: int) -> torch.Tensor:
        return pixels[:, y : y + rows, x : x + columns]

    centres = [(y * height // 4, x * width // 4) for y in (1, 3) for x in (1, 3)]
    return profile_of(network, strategy, read, (height, width), centres)


def _fit(subjects: Sequence[Subject], mpp: float) -> MppCalibration:
    octaves, features = [at for _, at, _ in subjects], [profile.features for _, _, profile in subjects]
    return fit_calibration(np.array(octaves, float), np.stack(features), mpp)
