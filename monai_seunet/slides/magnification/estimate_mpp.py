"""Estimate a slide's µm per pixel from the scale groups that win on its tissue."""

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

SIDE = 320  # pixels that the network sees of every tile at every zoom
ZOOMS = tuple(step / 2 for step in range(-4, 7))  # octaves by which a slide is enlarged
KNOWN = tuple(step / 2 for step in range(-5, 6))  # octaves of magnification of which profiles are learned
# Octaves by which the images of a calibration are reduced first: a slide of 1 µm that is enlarged shows no detail.
RESOLUTIONS = (0, -2)
TILES = 8

Read = Callable[[int, int, int, int], torch.Tensor]
Ladder = list[tuple[float, np.ndarray]]


def profile_at(
    network: Network, strategy: str, read: Read, centre: tuple[int, int], octave: float, limit: int
) -> np.ndarray | None:
    """Winning profile of the surroundings of a point, enlarged; None where there is hardly any foreground.

    Args:
        network: with scale groups, in evaluation mode.
        strategy: of the fusion.
        read: (y, x, height, width) -> prepared pixels (C, height, width).
        centre: (y, x).
        octave: power of two of the zoom.
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
    """µm per pixel of an image from some tiles of its tissue.

    Limits: nuclei of one organ are larger than those of another, which the estimate takes for magnification; its error
    on patients that were left out is kept with the calibration.

    Args:
        network: as calibrated.
        calibration: of this network; its fusion is taken.
        read: (y, x, height, width) -> prepared pixels (C, height, width) of the image.
        tiles: (y, x, limit): centres, and the largest side that can be read around each.

    Returns:
        None where no nuclei are found.
    """
    ladders = []
    for y, x, limit in progress_bar(tiles, desc="µm per pixel", unit="tile", leave=False):
        profiles = ((zoom, profile_at(network, calibration.fusion, read, (y, x), zoom, limit)) for zoom in ZOOMS)
        ladders.append([(zoom, profile) for zoom, profile in profiles if profile is not None])
    return calibration.pixel_size(ladders) if any(ladders) else None


def calibrate_network(
    network: Network, strategy: str, images: Sequence[tuple[str, torch.Tensor]], mpp: float, weights: str
) -> MppCalibration:
    """Learn the winning profiles at every magnification, and measure the estimate on groups that are left out.

    Args:
        network: with scale groups, in evaluation mode.
        strategy: of the fusion.
        images: group (patient) and prepared pixels (C, H, W) of each.
        mpp: µm per pixel of all of them.
        weights: hash of the network's weights.

    Raises:
        InputError: for a network without scale groups, fewer than three groups, or images without foreground.
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
                found = fitted.pixel_size([[(at - resolution, profile) for at, profile in tile] for tile in tiles])
                truth = mpp / 2**resolution
                errors.append(np.log2(found / truth))
                right.append(nearest_objective(found) == nearest_objective(truth))
    fitted = _fit([tiles for _, _, tiles in subjects], mpp)
    error = float(np.sqrt(np.mean(np.square(errors))))
    return replace(
        fitted, error=error, right=float(np.mean(right)), images=len(images), weights=weights, fusion=strategy
    )


def _tiles(network: Network, strategy: str, image: torch.Tensor, resolution: int) -> list[Ladder]:
    """Of the four quarters of an image magnifications and profiles; where a tile would reach beyond, of the whole."""
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
