"""Choice of the cheapest scale groups that are as accurate as all groups at a known magnification."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from monai_seunet.fusion import fuse
from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.progress import progress_bar

MAGNIFICATIONS = (-2, -1, 0, 1, 2)  # octaves relative to the images
TOLERANCE = 0.005  # accepted loss of IoU
LEAST_SCORE = 0.2  # least IoU of all groups; below it no choice is stored
SIDE = 320  # side in pixels of the network's input for a tile

Image = tuple[torch.Tensor, np.ndarray]


def cheapest_groups(network: Network, strategy: str, images: Sequence[Image]) -> dict[int, list[int]]:
    """Return the cheapest sufficient scale groups for each of `MAGNIFICATIONS`, without those where all groups fail.

    The candidates are runs of neighbouring octaves, or of neighbouring groups in a network with one octave. The fused
    prediction of sufficient groups loses at most `TOLERANCE` of the IoU of all groups.

    Args:
        network: network with scale groups, in evaluation mode.
        strategy: fusion strategy.
        images: pairs of prepared pixels (C, H, W) and a mask (H, W) of the nuclei.
    """
    device, octaves = next(network.parameters()).device, network.head_octaves()
    choices = _choices(octaves)
    counts = np.zeros((len(MAGNIFICATIONS), len(choices), 2))
    for pixels, truth in progress_bar(images, desc="groups", unit="image"):
        for row, octave in enumerate(MAGNIFICATIONS):
            for tile, wanted in _tiles(pixels, truth, octave, network.level_stride):
                with torch.inference_mode():
                    probabilities = network.all_heads(tile.to(device)).softmax(2).cpu()
                for column, groups in enumerate(choices):
                    mask = fuse(probabilities[:, groups], strategy)[0, 0].numpy() < 0.5
                    counts[row, column] += (mask & wanted).sum(), (mask | wanted).sum()
    scores = counts[..., 0] / np.maximum(counts[..., 1], 1)
    whole = choices.index(list(range(len(octaves))))
    return {
        octave: next(groups for groups, score in zip(choices, row, strict=True) if score >= row[whole] - TOLERANCE)
        for octave, row in zip(MAGNIFICATIONS, scores, strict=True)
        if row[whole] >= LEAST_SCORE
    }


def _choices(octaves: Sequence[int]) -> list[list[int]]:
    """Return all candidates, the cheapest first; a group of the next octave costs a quarter."""
    several = len(set(octaves)) > 1
    parts = [[k for k, other in enumerate(octaves) if other == octave] for octave in sorted(set(octaves))]
    parts = parts if several else [[k] for k in range(len(octaves))]
    runs = [parts[first:last] for first in range(len(parts)) for last in range(first + 1, len(parts) + 1)]
    return sorted((list(chain(*run)) for run in runs), key=lambda run: sum(4.0 ** -octaves[k] for k in run))


def _tiles(pixels: torch.Tensor, truth: np.ndarray, octave: int, stride: int) -> Iterable[Image]:
    """Crop and zoom the centres of the four quarters of an image, or the centre of a small image.

    Yields:
        Pixels (1, C, side, side), and the mask of the nuclei.
    """
    height, width = truth.shape
    side = min(round(SIDE / 2**octave), height, width)
    seen = max(1, round(side * 2.0**octave / stride)) * stride
    places = (1, 3) if 2 * side <= min(height, width) else (2,)
    for y, x in product(places, places):
        top = min(max(y * height // 4 - side // 2, 0), height - side)
        left = min(max(x * width // 4 - side // 2, 0), width - side)
        part = np.s_[top : top + side, left : left + side]
        options: dict[str, Any] = {"size": (seen, seen), "mode": "bilinear", "antialias": True}
        wanted = F.interpolate(torch.from_numpy(truth[part]).float()[None, None], **options)
        yield F.interpolate(pixels[None, :, *part], **options), wanted[0, 0].numpy() >= 0.5
