"""Brightness of the background of an image."""

from __future__ import annotations

import numpy as np

from monai_seunet.reading.colours import luma

# Brightness above which a background is bright. It is at most 0.15 in 218 of 220 images of fluorescence (the other two
# are noise without nuclei), and at least 0.25 in 203 bright-field images, see scripts/measurements/background.py.
BRIGHT = 0.2


def background_brightness(thumbnail: np.ndarray) -> float:
    """Return the median brightness of an image, 0 for its darkest and 1 for its brightest pixel.

    Limits: an image whose nuclei cover more than half of it has no background in this sense, and counts as bright. So
    does an image of noise alone.

    Args:
        thumbnail: RGB pixels (h, w, 3) uint8, in which noise is averaged.

    >>> background_brightness(np.array([[[9] * 3, [9] * 3, [209] * 3]], np.uint8))
    0.0
    """
    grey = luma(thumbnail).astype(float)
    return float(np.median(grey) - grey.min()) / max(float(np.ptp(grey)), 1.0)
