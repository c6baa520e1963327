"""Which scale groups win on an image, and what magnification that speaks for."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from monai_seunet.errors import InputError
from monai_seunet.fusion import fuse, winning_scale
from monai_seunet.report.files import write_text

LEAST_FOREGROUND = 1e-3  # share of an image; less says nothing of sizes
CLIP = 4.0  # standard deviations beyond which a number of a profile says nothing more
RIDGE = 0.01


def winning_profile(probabilities: torch.Tensor, strategy: str) -> np.ndarray | None:
    """What the scale groups make of an image, in 3 S + 1 numbers.

    Of every group the share of the foreground that it decides, the foreground that it finds by itself relative to the
    fused one, and its mean probability there; and the logarithm of the share of the foreground.

    Args:
        probabilities: (1, S, N, H, W).
        strategy: of the fusion.

    Returns:
        (3 S + 1,); None for an image with hardly any foreground.
    """
    foreground = 1 - probabilities[0, :, 0]  # (S, H, W)
    fused = fuse(probabilities, strategy)[0, 0] < 0.5
    share = float(fused.float().mean())
    if share < LEAST_FOREGROUND:
        return None
    winners = winning_scale(probabilities, strategy)[0, 0][fused]
    decided = torch.bincount(winners, minlength=len(foreground)) / len(winners)
    found = (foreground > 0.5).float().mean((1, 2)) / share
    sure = foreground[:, fused].mean(1)
    return torch.cat([decided, found, sure, torch.tensor([math.log(share)])]).numpy()


@dataclass(frozen=True)
class MppCalibration:
    """A line from winning profiles to magnification, fitted on images whose µm per pixel are known.

    Args:
        mpp: µm per pixel of those images.
        centre: mean profile.
        spread: standard deviation of each number of it.
        slopes: octaves per standard deviation.
        offset: octaves.
        error: root mean square error of an estimate, in octaves, on patients that were left out.
        weights: hash of the network's weights.
        images: how many images it rests on.
    """

    mpp: float
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    slopes: tuple[float, ...]
    offset: float
    error: float = math.nan
    weights: str = ""
    images: int = 0

    def zoom(self, profile: np.ndarray) -> float:
        """How many octaves an image of this profile is magnified beyond those that the line was fitted on."""
        scaled = np.clip((profile - np.array(self.centre)) / np.array(self.spread), -CLIP, CLIP)
        return float(scaled @ np.array(self.slopes)) + self.offset

    def pixel_size(self, profiles: Sequence[tuple[float, np.ndarray]]) -> float:
        """µm per pixel of an image, from profiles of it at several zooms: the median of what they say.

        Args:
            profiles: octaves by which the image was enlarged, and its profile then.
        """
        return self.mpp / 2 ** float(np.median([self.zoom(profile) - octaves for octaves, profile in profiles]))

    def save(self, path: str | Path) -> Path:
        """Write it as JSON."""
        return write_text(path, json.dumps(asdict(self), indent=1) + "\n")

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


def fit_calibration(profiles: np.ndarray, octaves: np.ndarray, mpp: float) -> MppCalibration:
    """Fit the line by ridge regression.

    Args:
        profiles: (K, 3 S + 1)
        octaves: (K,) by which each image was enlarged.
        mpp: µm per pixel of the images as they are.
    """
    centre, spread = profiles.mean(0), profiles.std(0) + 1e-9
    scaled = np.clip((profiles - centre) / spread, -CLIP, CLIP)
    mean, offset = scaled.mean(0), octaves.mean()
    gram = (scaled - mean).T @ (scaled - mean) / len(scaled) + RIDGE * np.eye(scaled.shape[1])
    slopes = np.linalg.solve(gram, (scaled - mean).T @ (octaves - offset) / len(scaled))
    return MppCalibration(
        mpp, tuple(centre.tolist()), tuple(spread.tolist()), tuple(slopes.tolist()), float(offset - mean @ slopes)
    )
