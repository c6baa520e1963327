"""Reinhard's colour transfer: no stains, only the mean and spread of each CIELAB channel."""

from __future__ import annotations

import numpy as np
import torch

from monai_seunet.transforms.stain.functional import as_dtype, unit_intensity

# Spread of L*, a* or b* below which a channel carries nothing that could be stretched.
MIN_SPREAD = 1e-2


def lab_statistics(rgb: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of L*, a* and b* over all pixels, background included.

    Args:
        rgb: (3, H, W), uint8 or float in [0, 1].

    Returns:
        Two arrays of 3.
    """
    lab = _lab(rgb)
    return lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))


def match_lab(rgb: torch.Tensor, mean: np.ndarray, std: np.ndarray) -> torch.Tensor:
    """Shift and stretch each CIELAB channel to a given mean and standard deviation.

    Limits: it moves the background as well, and depends on how much of it there is; colours outside sRGB are clipped.

    Args:
        rgb: (3, H, W), uint8 or float in [0, 1].
        mean: 3 numbers, of L*, a*, b*.
        std: 3 numbers, of L*, a*, b*.

    Returns:
        Same shape and type as `rgb`.

    Raises:
        ValueError: where a channel of the image is constant.

    References:
        Reinhard et al., Color transfer between images, 2001 (there in another colour space, lαβ).
    """
    from skimage.color import lab2rgb

    lab = _lab(rgb)
    own_mean, own_std = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
    if (own_std < MIN_SPREAD).any():
        raise ValueError(f"the spread of L*, a*, b* is {own_std.round(4).tolist()}: a single colour cannot be matched")
    matched = torch.from_numpy(lab2rgb((lab - own_mean) * (std / own_std) + mean)).permute(2, 0, 1)
    return as_dtype(matched, rgb.dtype).to(rgb.device)


def _lab(rgb: torch.Tensor) -> np.ndarray:
    """(H, W, 3) CIELAB, float64."""
    from skimage.color import rgb2lab

    return rgb2lab(unit_intensity(rgb).double().permute(1, 2, 0).cpu().numpy())
