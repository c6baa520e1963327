"""Which stored values are black and white, where the samples of an image have more than 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners give, whatever the file stores them in
WHITE = 255
AT_ONCE = 1 << 20  # samples: bounds the memory for large images
LEAST_SPAN = 0.25  # of the brightest value: the noise of an empty image is not stretched to black and white


class SampleRange(NamedTuple):
    """The stored values that become 0 and 255; those between lie in proportion.

    Attributes:
        low: of 0.
        high: of 255, above `low`.
    """

    low: int
    high: int

    def in_8_bits(self, samples: np.ndarray) -> np.ndarray:
        """Samples as uint8, each by its own value alone; what lies outside becomes the nearer end."""
        span, result = self.high - self.low, np.empty(samples.shape, np.uint8)
        rows = max(1, AT_ONCE // max(1, samples[:1].size))
        for top in range(0, len(samples), rows):
            above = samples[top : top + rows].clip(self.low, self.high).astype(np.uint32) - self.low
            result[top : top + rows] = (above * WHITE + span // 2) // span
        return result


def range_of_grey(pieces: Iterable[np.ndarray]) -> SampleRange:
    """From the darkest to the brightest value of a grey image, a quarter of the brightest apart at least.

    A camera of 12 bits uses few of the 65,536 values of a file, and faint nuclei few of those: of the full range they
    would keep two or three levels. A value counts where four pixels of a square reach it: a hot pixel does not.

    Args:
        pieces: (H, W) unsigned, parts of one image.
    """
    ends = [(int(_of_squares(piece, np.maximum).min()), int(_of_squares(piece, np.minimum).max())) for piece in pieces]
    high = max((end[1] for end in ends), default=0)
    low = min(min((end[0] for end in ends), default=0), int((1 - LEAST_SPAN) * high))
    return SampleRange(low, max(high, low + 1))


def range_of_colours(pieces: Iterable[np.ndarray], least_bits: int = DEPTHS[0]) -> SampleRange:
    """From 0 to the most that so many bits hold as the values of a colour image need; a hot pixel does not count.

    Args:
        pieces: (H, W) or (H, W, channels) unsigned, parts of one image.
        least_bits: the file says that so many count; 16 at most.
    """
    most = max((int(_of_squares(piece, np.minimum).max()) for piece in pieces), default=0)
    most = max(most, (1 << least_bits) - 1)
    return SampleRange(0, most if most == (1 << least_bits) - 1 else _most_of_bits(most))


def _most_of_bits(value: int) -> int:
    """The largest value of the least usual number of bits that hold a value."""
    return next((1 << bits) - 1 for bits in DEPTHS if value < 1 << bits)


def _of_squares(piece: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """The largest or the smallest value of each square of four pixels; of a line, of its own pixels."""
    if len(piece) > 1:
        piece = extreme(piece[1:], piece[:-1])
    return extreme(piece[:, 1:], piece[:, :-1]) if piece.shape[1] > 1 else piece
