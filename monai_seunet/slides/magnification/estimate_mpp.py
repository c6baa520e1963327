"""Estimate of the µm per pixel of a slide from the nuclei that a network finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from monai_seunet.fusion import fuse, group_weights
from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.magnification.calibration import MppCalibration, MppEstimate, Profile

SIDE = 320  # side in pixels of the network's input for each tile and zoom
ZOOMS = (0, 1)  # octaves by which a slide is enlarged; more zooms do not estimate better
TILES = 8
LEAST_FOREGROUND = 1e-3  # least share of foreground in a tile; less tells nothing about sizes
UNSURE = (0.1, 0.9)  # range of the probabilities of unsure pixels

Read = Callable[[int, int, int, int], torch.Tensor]


def nuclei_features(foreground: torch.Tensor) -> np.ndarray | None:
    """Return 4 numbers that depend on the magnification, from the probability (H, W) of nuclei.

    They are log2 of the area over the length of the borders of the nuclei, in pixels; the share of the area that they
    cover; the mean probability in them; and the number of unsure pixels for each of their pixels, which counts how
    blurred their borders are. The share tells apart large nuclei and many that touch.

    Returns:
        Features (4,); None for a tile with almost no nuclei.
    """
    mask = foreground > 0.5
    area = int(mask.sum())
    if area < LEAST_FOREGROUND * mask.numel():
        return None
    border = int((mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum())
    unsure = int(((foreground > UNSURE[0]) & (foreground < UNSURE[1])).sum())
    size = math.log2(area / (border + 1))
    return np.array([size, area / mask.numel(), float(foreground[mask].mean()), unsure / area])


def profile_of(
    network: Network, strategy: str, read: Read, size: tuple[int, int], centres: Sequence[tuple[int, int]]
) -> Profile | None:
    """Return the mean features of some tiles at every zoom, weighted by their foreground; None without nuclei.

    Args:
        network: network in evaluation mode.
        strategy: fusion strategy.
        read: function of y, x, height and width that returns prepared pixels (C, height, width) of the image.
        size: height and width of the image.
        centres: centres y and x of the tiles, which are moved into the image.
    """
    features, nuclei = [], 0.0
    for zoom in ZOOMS:
        side = min(*size, round(SIDE / 2**zoom))
        corners = {(_corner(y, side, size[0]), _corner(x, side, size[1])) for y, x in centres}
        found = [_tile_features(network, strategy, read(y, x, side, side), zoom) for y, x in sorted(corners)]
        known = np.array([each for each in found if each is not None])
        if not len(known):
            return None
        mean = np.average(known, axis=0, weights=known[:, 1])
        features.append(mean)
        if zoom == 0:  # of discs of diameter d, area over border is pi d / 16, as a border is counted along both axes
            nuclei = known[:, 1].sum() * side**2 * math.pi / 64 / 4 ** mean[0]
    return Profile(np.concatenate(features), float(nuclei))


def _corner(centre: int, side: int, end: int) -> int:
    return min(max(centre - side // 2, 0), end - side)


def _tile_features(network: Network, strategy: str, pixels: torch.Tensor, zoom: int) -> np.ndarray | None:
    seen = max(1, round(pixels.shape[-1] * 2**zoom / network.level_stride)) * network.level_stride
    resized = F.interpolate(pixels[None], size=(seen, seen), mode="bilinear", antialias=True)
    with torch.inference_mode():
        probabilities = network.all_heads(resized.to(next(network.parameters()).device)).softmax(2).cpu()
        fused = fuse(probabilities, strategy, group_weights(probabilities, strategy))
    return nuclei_features(1 - fused[0, 0])


def estimate_mpp(
    network: Network,
    calibration: MppCalibration,
    read: Read,
    size: tuple[int, int],
    centres: Sequence[tuple[int, int]],
) -> MppEstimate | None:
    """Estimate the µm per pixel of an image from some tiles of its tissue; return None if it has no nuclei.

    Limits: the size of nuclei depends on the organ, and the estimate takes it for magnification. The calibration stores
    the error on patients that were left out.

    Args:
        network: calibrated network.
        calibration: calibration of the network.
        read: function of y, x, height and width that returns prepared pixels (C, height, width) of the image.
        size: height and width of the image.
        centres: centres y and x of the tiles.
    """
    profile = profile_of(network, calibration.fusion, read, size, centres)
    return None if profile is None else calibration.estimate(profile)
