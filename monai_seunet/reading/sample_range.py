"""The range of stored values that is shown, for images with more than 8 bits per sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

DEPTHS = (8, 10, 12, 14, 16)  # usual bit depths of cameras and scanners
WHITE = 255
CHUNK_SAMPLES = 1 << 20  # limits the memory for temporary arrays
LEAST_SPAN = 0.25  # share of the brightest value; without it, the noise of an empty image becomes black and white


class SampleRange(NamedTuple):
    """The stored values that are mapped linearly to 0 and 255.

    Attributes:
        low: stored value that becomes 0.
        high: stored value that becomes 255; it is above `low`.
    """

    low: int
    high: int

    def in_8_bits(self, samples: np.ndarray) -> np.ndarray:
        """Map each sample to uint8; values outside the range are clipped.

        >>> SampleRange(0, 4095).in_8_bits(np.array([0, 4095, 5000], np.uint16))
        array([  0, 255, 255], dtype=uint8)
        """
        span, result = self.high - self.low, np.empty(samples.shape, np.uint8)
        rows = max(1, CHUNK_SAMPLES // max(1, samples[:1].size))
        for top in range(0, len(samples), rows):
            above = samples[top : top + rows].clip(self.low, self.high).astype(np.uint32) - self.low
            result[top : top + rows] = (above * WHITE + span // 2) // span
        return result


def range_of_grey(pieces: Iterable[np.ndarray]) -> SampleRange:
    """Return the range from the darkest to the brightest value of a grey image.

    The range spans at least a quarter of the brightest value. The full range of 16 bits would leave two or three levels
    for faint nuclei, because a camera of 12 bits uses few of its values. A value counts if 2 x 2 pixels reach it, so
    hot pixels are ignored.

    Args:
        pieces: parts (H, W) of one image, unsigned.
    """
    ends = [(int(_in_squares(piece, np.maximum).min()), int(_in_squares(piece, np.minimum).max())) for piece in pieces]
    high = max((end[1] for end in ends), default=0)
    low = min(min((end[0] for end in ends), default=0), int((1 - LEAST_SPAN) * high))
    return SampleRange(low, max(high, low + 1))


def range_of_colours(pieces: Iterable[np.ndarray], least_bits: int = DEPTHS[0]) -> SampleRange:
    """Return the range from 0 to the largest value of the smallest usual bit depth that holds a colour image.

    Hot pixels are ignored.

    Args:
        pieces: parts (H, W) or (H, W, channels) of one image, unsigned.
        least_bits: bit depth that the file states, at most 16.
    """
    stated = (1 << least_bits) - 1
    brightest = max((int(_in_squares(piece, np.minimum).max()) for piece in pieces), default=0)
    if brightest <= stated:
        return SampleRange(0, stated)
    return SampleRange(0, next((1 << bits) - 1 for bits in DEPTHS if brightest < 1 << bits))


def _in_squares(piece: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Return the largest or the smallest value of each 2 x 2 pixels; an image of one line has 1 x 2 or 2 x 1."""
    if len(piece) > 1:
        piece = extreme(piece[1:], piece[:-1])
    return extreme(piece[:, 1:], piece[:, :-1]) if piece.shape[1] > 1 else piece
