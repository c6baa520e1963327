"""Estimate a slide's µm per pixel from the scale groups that win on its tissue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from monai_seunet.errors import InputError
from monai_seunet.slides.winning_profile import MppCalibration, fit_calibration, winning_profile

SIDE = 448  # pixels that the network sees of every tile at every zoom
OCTAVES = tuple(step / 2 for step in range(-4, 5))
FINE_OCTAVES = tuple(step / 4 for step in range(-8, 9))  # of the fit
TILES = 8

Read = Callable[[int, int, int, int], torch.Tensor]


def profiles_of(
    network: nn.Module, strategy: str, read: Read, centre: tuple[int, int], octaves: Sequence[float], limit: int
) -> list[tuple[float, np.ndarray]]:
    """Winning profiles of the surroundings of a point at several zooms, each of the same number of pixels.

    Args:
        network: with scale groups, in evaluation mode.
        strategy: of the fusion.
        read: (y, x, height, width) -> prepared pixels (C, height, width).
        centre: (y, x).
        octaves: powers of two of the zooms.
        limit: largest side that can be read around the centre.

    Returns:
        Pairs of octaves and profile; zooms that show hardly any foreground are left out.
    """
    heads: Callable[[torch.Tensor], torch.Tensor] = network.heads  # type: ignore[assignment]
    stride, device = int(network.stride), next(network.parameters()).device  # type: ignore[arg-type]
    found = []
    for octave in octaves:
        side = min(limit, round(SIDE / 2**octave))
        seen = max(1, round(side * 2**octave / stride)) * stride
        pixels = read(centre[0] - side // 2, centre[1] - side // 2, side, side)
        resized = F.interpolate(pixels[None], size=(seen, seen), mode="bilinear", antialias=True)
        with torch.inference_mode():
            profile = winning_profile(heads(resized.to(device)).softmax(2).cpu(), strategy)
        if profile is not None:
            found.append((octave, profile))
    return found


def estimate_mpp(
    network: nn.Module, strategy: str, calibration: MppCalibration, read: Read, tiles: Sequence[tuple[int, int, int]]
) -> float | None:
    """µm per pixel of an image from some tiles of its tissue.

    Limits: nuclei of one organ are larger than those of another, which the estimate takes for magnification; its error
    on patients that were left out is kept with the calibration.

    Args:
        network: as calibrated.
        strategy: of the fusion.
        calibration: of this network.
        read: (y, x, height, width) -> prepared pixels (C, height, width) of the image.
        tiles: (y, x, limit): centres, and the largest side that can be read around each.

    Returns:
        None where no nuclei are found.
    """
    found = [
        pair
        for y, x, limit in tqdm(tiles, desc="µm per pixel", unit="tile", leave=False)
        for pair in profiles_of(network, strategy, read, (y, x), OCTAVES, limit)
    ]
    return calibration.pixel_size(found) if found else None


def calibrate(
    network: nn.Module, strategy: str, images: Sequence[tuple[str, torch.Tensor]], mpp: float, weights: str
) -> MppCalibration:
    """Fit the line from winning profiles to magnification, and measure its error on groups that are left out.

    Args:
        network: with scale groups, in evaluation mode.
        strategy: of the fusion.
        images: group (patient) and prepared pixels (C, H, W) of each.
        mpp: µm per pixel of all of them.
        weights: hash of the network's weights.

    Raises:
        InputError: for a network without scale groups, fewer than three groups, or images without foreground.
    """
    if int(getattr(network, "num_scales", 1)) < 2:
        raise InputError(
            f"{type(network).__name__} has no scale groups, from which the µm per pixel could be estimated"
        )
    found: list[tuple[str, int, float, np.ndarray]] = []
    for index, (group, image) in enumerate(tqdm(images, desc="calibrate", unit="image")):
        height, width = image.shape[-2:]

        def read(y: int, x: int, rows: int, columns: int, image: torch.Tensor = image) -> torch.Tensor:
            return image[:, y : y + rows, x : x + columns]

        pairs = profiles_of(network, strategy, read, (height // 2, width // 2), FINE_OCTAVES, min(height, width))
        found += [(group, index, octave, profile) for octave, profile in pairs]
    groups = np.array([entry[0] for entry in found])
    if len(set(groups)) < 3:
        raise InputError(f"{len(set(groups))} patient(s) with nuclei; a calibration needs three or more")
    octaves, profiles = np.array([entry[2] for entry in found]), np.stack([entry[3] for entry in found])
    errors = []
    for group in sorted(set(groups)):
        fitted = fit_calibration(profiles[groups != group], octaves[groups != group], mpp)
        for index in sorted({entry[1] for entry in found if entry[0] == group}):
            seen = [(entry[2], entry[3]) for entry in found if entry[1] == index and entry[2] in OCTAVES]
            errors.append(np.log2(mpp / fitted.pixel_size(seen)))
    line = fit_calibration(profiles, octaves, mpp)
    error = float(np.sqrt(np.mean(np.square(errors))))
    return MppCalibration(line.mpp, line.centre, line.spread, line.slopes, line.offset, error, weights, len(images))
