"""Image pyramids of octaves, and resampling of their maps to the grid of the image."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from monai_seunet.networks.layers.sampling import doubled


def octave_images(x: torch.Tensor, octaves: list[int]) -> list[torch.Tensor]:
    """Return the image at every octave: halved `octave` times by 2 x 2 averages, doubled for octave -1.

    Args:
        x: image (B, C, H, W); H and W are multiples of 2^octave for the largest octave.
        octaves: rising octaves, -1 or more.

    Returns:
        One image (B, C, H / 2^octave, W / 2^octave) for each octave.

    >>> [tuple(image.shape) for image in octave_images(torch.zeros(1, 3, 8, 8), [0, 1])]
    [(1, 3, 8, 8), (1, 3, 4, 4)]
    """
    images: list[torch.Tensor] = []
    at, halved = 0, x
    for octave in octaves:
        if octave < 0:
            image = doubled(x)
        else:
            while at < octave:
                halved = F.avg_pool2d(halved, 2)
                at += 1
            image = halved
        images.append(image.contiguous(memory_format=torch.channels_last))
    return images


def on_image_grid(maps: list[torch.Tensor], octaves: list[int]) -> torch.Tensor:
    """Resample the map of every octave to the grid of the image: doubled `octave` times, halved for octave -1.

    The maps are doubled octave by octave, so the doubled result for a halved image is exactly the result of the
    next octave.

    Args:
        maps: one map (B_i, N, H / 2^octave, W / 2^octave) for each octave.
        octaves: rising octaves, -1 or more.

    Returns:
        Maps (B_1 + B_2 + ..., N, H, W) in the order of the octaves.
    """
    at, gathered = octaves[-1], maps[-1]
    for n in range(len(maps) - 2, -1, -1):
        while at > max(octaves[n], 0):
            gathered = doubled(gathered)
            at -= 1
        finer = F.avg_pool2d(maps[n], 2) if octaves[n] < 0 else maps[n]
        gathered = torch.cat([finer, gathered])
    if at < 0:
        return F.avg_pool2d(gathered, 2)
    for _ in range(at):
        gathered = doubled(gathered)
    return gathered
