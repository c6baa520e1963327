"""Reinhard's colour transfer, which matches the mean and standard deviation of each CIELAB channel."""

from __future__ import annotations

import numpy as np
import torch

from monai_seunet.transforms.stain.functional import as_dtype, unit_intensity

MIN_SPREAD = 1e-2  # standard deviation of L*, a* or b* below which a channel counts as constant


def lab_statistics(rgb: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (3,) and standard deviations (3,) of L*, a* and b* of an image (3, H, W)."""
    lab = _lab(rgb)
    return lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))


def match_lab(rgb: torch.Tensor, mean: np.ndarray, std: np.ndarray) -> torch.Tensor:
    """Shift and scale each CIELAB channel to a given mean and standard deviation.

    Limits: the background changes, too, and its area influences the result; colours outside sRGB are clipped.

    Args:
        rgb: image (3, H, W), uint8 or float in [0, 1].
        mean: means (3,) of L*, a* and b*.
        std: standard deviations (3,) of L*, a* and b*.

    Returns:
        image with the shape and type of `rgb`.

    Raises:
        ValueError: a channel of the image is constant.

    References:
        Reinhard et al., Color transfer between images, 2001, which uses the colour space lαβ.
    """
    from skimage.color import lab2rgb

    lab = _lab(rgb)
    image_mean, image_std = lab.mean(axis=(0, 1)), lab.std(axis=(0, 1))
    if (image_std < MIN_SPREAD).any():
        spread = image_std.round(4).tolist()
        raise ValueError(f"the standard deviation of L*, a*, b* is {spread}: a single colour cannot be matched")
    matched = torch.from_numpy(lab2rgb((lab - image_mean) * (std / image_std) + mean)).permute(2, 0, 1)
    return as_dtype(matched, rgb.dtype).to(rgb.device)


def _lab(rgb: torch.Tensor) -> np.ndarray:
    """Convert (3, H, W) to CIELAB (H, W, 3), float64."""
    from skimage.color import rgb2lab

    return rgb2lab(unit_intensity(rgb).double().permute(1, 2, 0).cpu().numpy())
