"""Masks as the lengths of runs, as COCO writes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MAX_PIXELS = 2**26  # of one object; a few numbers may stand for more than any memory holds
_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_MOST_DIGITS = 13  # of a number of 64 bits


class RunLengths(NamedTuple):
    """The pixels of one object.

    Attributes:
        counts: lengths of runs, down the columns from the left one; background and object in turn, background first.
        size: rows and columns of the image.
    """

    counts: np.ndarray
    size: tuple[int, int]

    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the object's pixels."""
        ends = np.cumsum(self.counts)
        lengths = self.counts[1::2]
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places += np.repeat(ends[1::2] - lengths, lengths)
        return places % self.size[0], places // self.size[0]


def run_lengths(counts: list[int] | str, size: tuple[int, int]) -> RunLengths:
    """Check the lengths of runs.

    Args:
        counts: the lengths, or the text that COCO's tools make of them.
        size: rows and columns of the image.

    Raises:
        ValueError: where they are no lengths or do not fill the image.
    """
    numbers = _decode(counts) if isinstance(counts, str) else counts
    total = size[0] * size[1]
    if not all(isinstance(number, int) and 0 <= number <= total for number in numbers):
        raise ValueError(f"its run lengths are no whole numbers from 0 to {total}")
    if sum(numbers) != total:
        raise ValueError(f"its run lengths are of {sum(numbers)} pixels, but {size[1]} x {size[0]} are {total}")
    if sum(numbers[1::2]) > MAX_PIXELS:
        raise ValueError(f"its mask is of more than {MAX_PIXELS} pixels")
    return RunLengths(np.asarray(numbers, dtype=np.int64), size)


def _decode(text: str) -> list[int]:
    """Numbers of any length in digits of five bits; from the fourth on each is a difference to the second before it.

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
