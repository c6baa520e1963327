"""Antialiased resampling in whole numbers, so that a pixel does not depend on the region it is computed with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

# Weights are multiples of 1/2^14; between the two passes six binary places are kept, so that 32 bits always suffice.
WEIGHT_BITS = 14
KEPT_BITS = 6


class AxisWeights(NamedTuple):
    """How pixels `first` ... `last` - 1 along one axis make the new ones: (new, last - first), rows of sum 2^14."""

    matrix: csr_array
    first: int
    last: int


def axis_weights(start: int, stop: int, ratio: float, length: int) -> AxisWeights:
    """Weights of linear interpolation, widened where the image shrinks so that it does not alias.

    Law: the weights of new pixel i are a function of i, `ratio` and `length` alone. Pixels beyond the ends have no
    weight, and the others share it: a constant image stays constant.

    Args:
        start: first new pixel.
        stop: behind the last new pixel.
        ratio: new pixels per old pixel.
        length: old pixels along the axis.
    """
    support = max(1.0, 1.0 / ratio)
    centres = (np.arange(start, stop) + 0.5) / ratio  # in old pixels, whose centres are at j + 0.5
    left = np.floor(centres - support - 0.5).astype(np.int64) + 1
    old = left[:, None] + np.arange(int(np.ceil(2 * support)) + 1)  # (new, taps)
    weights = np.maximum(0.0, 1.0 - np.abs(old + 0.5 - centres[:, None]) / support)
    weights[(old < 0) | (old >= length)] = 0.0
    # Whole numbers from here on: their sums do not depend on the order of summation.
    fine = np.rint(weights * (1 << 24)).astype(np.int64)
    total = fine.sum(axis=1, keepdims=True)
    whole = ((fine << WEIGHT_BITS) * 2 + total) // (2 * total)
    np.put_along_axis(
        whole,
        whole.argmax(axis=1)[:, None],
        whole.max(axis=1, keepdims=True) + (1 << WEIGHT_BITS) - whole.sum(axis=1, keepdims=True),
        axis=1,
    )
    new, tap = np.nonzero(whole)
    used = old[new, tap]
    first, last = int(used.min()), int(used.max()) + 1
    values = (whole[new, tap].astype(np.int32), (new, used - first))
    return AxisWeights(csr_array(values, shape=(stop - start, last - first)), first, last)


def resample_axes(pixels: np.ndarray, rows: AxisWeights, columns: AxisWeights) -> np.ndarray:
    """Apply the weights of both axes.

    Law: exact to 1/64 of a level before the one rounding at the end, the same for each pixel whatever is beside it.

    Args:
        pixels: (H, W, C) uint8: rows `rows.first` ... `rows.last` - 1, columns in the same way.
        rows: for H.
        columns: for W.

    Returns:
        (new rows, new columns, C) uint8.
    """
    height, width, channels = pixels.shape
    down = rows.matrix @ pixels.reshape(height, width * channels).astype(np.int32)  # (new rows, W · C)
    down = _shift(down, WEIGHT_BITS - KEPT_BITS).reshape(-1, width, channels)
    turned = np.ascontiguousarray(down.swapaxes(0, 1)).reshape(width, -1)
    across = _shift(columns.matrix @ turned, WEIGHT_BITS + KEPT_BITS)  # (new columns, new rows · C)
    result = across.astype(np.uint8).reshape(-1, down.shape[0], channels).swapaxes(0, 1)
    return np.ascontiguousarray(result)


def _shift(values: np.ndarray, bits: int) -> np.ndarray:
    """Divide by 2^bits and round, in place."""
    values += 1 << (bits - 1)
    values >>= bits
    return values
