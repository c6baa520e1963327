"""Run-length encoded masks of COCO."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MAX_PIXELS = 2**26  # largest object; a few run lengths may encode more pixels than the memory holds
_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_MOST_DIGITS = 13  # digits of five bits in a number of 64 bits


class RunLengths(NamedTuple):
    """Run-length encoded pixels of one object.

    Attributes:
        counts: run lengths in column-major order, alternating between background and object, background first.
        size: rows and columns of the image.
    """

    counts: np.ndarray
    size: tuple[int, int]

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and columns of the object's pixels."""
        ends = np.cumsum(self.counts)
        lengths = self.counts[1::2]
        indices = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        indices += np.repeat(ends[1::2] - lengths, lengths)
        return indices % self.size[0], indices // self.size[0]


def run_lengths(counts: list[int] | str, size: tuple[int, int]) -> RunLengths:
    """Check run lengths, and decompress them if they are a text.

    Args:
        counts: run lengths, or the compressed text of COCO's tools.
        size: rows and columns of the image.

    Raises:
        ValueError: the numbers are not run lengths, or do not fill the image.
    """
    numbers = _decode(counts) if isinstance(counts, str) else counts
    total = size[0] * size[1]
    if not all(isinstance(number, int) and 0 <= number <= total for number in numbers):
        raise ValueError(f"its run lengths are no whole numbers from 0 to {total}")
    if sum(numbers) != total:
        raise ValueError(f"its run lengths are of {sum(numbers)} pixels, but {size[1]} x {size[0]} are {total}")
    if sum(numbers[1::2]) > MAX_PIXELS:
        raise ValueError(f"its mask has more than {MAX_PIXELS} pixels")
    return RunLengths(np.asarray(numbers, dtype=np.int64), size)


def _decode(text: str) -> list[int]:
    """Decode numbers in digits of five bits; from the fourth on, each is the difference to the second number before.

    References:
        https://github.com/cocodataset/cocoapi: common/maskApi.c, rleFrString.
    """
    counts: list[int] = []
    value = shift = 0
    for digit in (ord(character) - 48 for character in text):
        if not 0 <= digit < 64 or shift >= _BITS * _MOST_DIGITS:
            raise ValueError("its compressed run lengths are damaged")
        value |= (digit & (_MORE - 1)) << shift
        shift += _BITS
        if digit & _MORE:
            continue
        if digit & _SIGN:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its compressed run lengths end in the middle of a number")
    return counts
