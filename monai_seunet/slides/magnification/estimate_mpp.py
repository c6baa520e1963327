"""Estimate of the µm per pixel of a slide from the scale groups that win on its tissue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.magnification.calibration import MppCalibration, fit_calibration, winning_profile
from monai_seunet.slides.magnification.resolution import nearest_objective
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

SIDE = 320  # side in pixels of the network's input for each tile and zoom
ZOOMS = tuple(step / 2 for step in range(-4, 7))  # octaves by which a slide is enlarged
KNOWN = tuple(step / 2 for step in range(-5, 6))  # calibrated magnifications in octaves
# Octaves by which calibration images are reduced first, because an enlarged slide of 1 µm per pixel lacks detail.
RESOLUTIONS = (0, -2)
TILES = 8

Read = Callable[[int, int, int, int], torch.Tensor]
Ladder = list[tuple[float, np.ndarray]]


def profile_at(
    network: Network, strategy: str, read: Read, centre: tuple[int, int], octave: float, limit: int
) -> np.ndarray | None:
    """Return the winning profile of an enlarged tile; None if it has almost no foreground.

    Args:
        network: network with scale groups, in evaluation mode.
        strategy: fusion strategy.
        read: function of y, x, height and width that returns prepared pixels (C, height, width).
        centre: centre (y, x) of the tile.
        octave: zoom in octaves.
        limit: largest side that can be read around the centre.
    """
    stride, device = network.level_stride, next(network.parameters()).device
    side = min(limit, round(SIDE / 2**octave))
    seen = max(1, round(side * 2**octave / stride)) * stride
    pixels = read(centre[0] - side // 2, centre[1] - side // 2, side, side)
    resized = F.interpolate(pixels[None], size=(seen, seen), mode="bilinear", antialias=True)
    with torch.inference_mode():
        return winning_profile(network.all_heads(resized.to(device)).softmax(2).cpu(), strategy)


def estimate_mpp(
    network: Network, calibration: MppCalibration, read: Read, tiles: Sequence[tuple[int, int, int]]
) -> float | None:
    """Estimate the µm per pixel of an image from some tiles of its tissue; return None if it has no nuclei.

    Limits: the size of nuclei depends on the organ, and the estimate takes it for magnification. The calibration stores
    the error on patients that were left out.

    Args:
        network: calibrated network.
        calibration: calibration of the network.
        read: function of y, x, height and width that returns prepared pixels (C, height, width) of the image.
        tiles: centres y and x of the tiles, and the largest side that can be read around each.
    """
    ladders = []
    for y, x, limit in progress_bar(tiles, desc="µm per pixel", unit="tile", leave=False):
        profiles = ((zoom, profile_at(network, calibration.fusion, read, (y, x), zoom, limit)) for zoom in ZOOMS)
        ladders.append([(zoom, profile) for zoom, profile in profiles if profile is not None])
    return calibration.pixel_size(ladders) if any(ladders) else None


def calibrate_network(
    network: Network, strategy: str, images: Sequence[tuple[str, torch.Tensor]], mpp: float, weights: str
) -> MppCalibration:
    """Fit the distribution of winning profiles, and measure the error of the estimate by cross-validation over groups.

    Args:
        network: network with scale groups, in evaluation mode.
        strategy: fusion strategy.
        images: group (patient) and prepared pixels (C, H, W) of each image.
        mpp: µm per pixel of the images.
        weights: hash of the network's weights.

    Raises:
        InputError: the network has no scale groups, or fewer than three groups have nuclei.
    """
    if network.num_scales < 2:
        raise InputError(
            f"{type(network).__name__} has no scale groups, from which the µm per pixel could be estimated"
        )
    subjects = [
        (group, resolution, _tiles(network, strategy, image, resolution))
        for group, image in progress_bar(images, desc="calibrate", unit="image")
        for resolution in RESOLUTIONS
    ]
    groups = sorted({group for group, _, tiles in subjects if any(tiles)})
    if len(groups) < 3:
        raise InputError(f"{len(groups)} patient(s) with nuclei; a calibration needs three or more")
    errors, right = [], []
    for left_out in progress_bar(groups, desc="patients left out", unit="patient"):
        fitted = _fit([tiles for group, _, tiles in subjects if group != left_out], mpp)
        for group, resolution, tiles in subjects:
            if group == left_out and any(tiles):
                estimate = fitted.pixel_size([[(at - resolution, profile) for at, profile in tile] for tile in tiles])
                truth = mpp / 2**resolution
                errors.append(np.log2(estimate / truth))
                right.append(nearest_objective(estimate) == nearest_objective(truth))
    fitted = _fit([tiles for _, _, tiles in subjects], mpp)
    error = float(np.sqrt(np.mean(np.square(errors))))
    return replace(
        fitted, error=error, right=float(np.mean(right)), images=len(images), weights=weights, fusion=strategy
    )


def _tiles(network: Network, strategy: str, image: torch.Tensor, resolution: int) -> list[Ladder]:
    """Return magnifications and profiles of the four quarters of an image, or of its centre for large tiles."""
    if resolution:
        image = F.interpolate(image[None], scale_factor=2.0**resolution, mode="bilinear", antialias=True)[0]
    height, width = image.shape[-2:]

    def read(y: int, x: int, rows: int, columns: int) -> torch.Tensor:
        top, left = min(max(y, 0), height - rows), min(max(x, 0), width - columns)
        return image[:, top : top + rows, left : left + columns]

    centres = [(y * height // 4, x * width // 4) for y in (1, 3) for x in (1, 3)]
    ladders: list[Ladder] = [[] for _ in centres]
    for octave in KNOWN:
        zoom = octave - resolution
        if not ZOOMS[0] <= zoom <= ZOOMS[-1]:
            continue
        whole = SIDE / 2**zoom > min(height, width) * 3 / 4
        for index, centre in enumerate([(height // 2, width // 2)] if whole else centres):
            profile = profile_at(network, strategy, read, centre, zoom, min(height, width))
            if profile is not None:
                ladders[index].append((octave, profile))
    return ladders


def _fit(subjects: Sequence[Sequence[Ladder]], mpp: float) -> MppCalibration:
    pairs = [pair for tiles in subjects for tile in tiles for pair in tile]
    return fit_calibration(np.array([octave for octave, _ in pairs]), np.stack([p for _, p in pairs]), mpp)
