"""A slide at the resolution that the network works at."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from monai_seunet.reading.colours import WHITE, luma
from monai_seunet.reading.slide import Slide
from monai_seunet.utils.errors import InputError

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

    Invariant: the weights of new pixel i are a function of i, `ratio` and `length` alone. Pixels beyond the ends have
    no weight, and the others share it: a constant image stays constant.

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

    Invariant: exact to 1/64 of a level before the one rounding at the end, the same for each pixel whatever is beside
    it.

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


# A level may be this much coarser than what is wanted and still be read instead of the next finer one.
LEVEL_TOLERANCE = 0.01
# A scale this near to that of a level is that of the level: its pixels are taken as they are.
SCALE_TOLERANCE = 0.001
# Pixels a side of the level that are resampled at once: bounds the memory where there is no pyramid.
PIECE = 2048


class SlideView:
    """The slide at `scale` working pixels per base pixel, resampled from the coarsest level that is fine enough.

    Invariant: a region is exactly the same pixels whether it is read alone or as a part of a larger one; what lies
    outside the view is white. The image and its base level start at the same corner: (y, x) working is (y, x) / `scale`
    base.
    Limits: magnifying beyond the base level interpolates and shows nothing new.

    Args:
        slide: stays the caller's, who closes it.
        scale: working pixels per base pixel, or (y, x) of them. Within 0.1 % of a level it becomes that of the level.
        channels: 3 for RGB; 1 for its luma (ITU-R BT.601), which is the grey itself in a grey image.

    Raises:
        ValueError: for a scale that is not above 0, or another number of channels.
    """

    def __init__(self, slide: Slide, scale: float | Sequence[float] = 1.0, channels: int = 3) -> None:
        wanted = (scale, scale) if isinstance(scale, int | float) else (scale[0], scale[1])
        if not all(0 < one < math.inf for one in wanted):
            raise ValueError(f"scale is {scale}; it must be working pixels per base pixel, above 0")
        if channels not in (1, 3):
            raise ValueError(f"channels is {channels}; choose 3 for RGB or 1 for grey")
        self.slide = slide
        self.channels = channels
        self.level = max(
            number
            for number, level in enumerate(slide.levels)
            if number == 0 or level.downsample * max(wanted) <= 1 + LEVEL_TOLERANCE
        )
        level = slide.levels[self.level]
        self._ratio = (wanted[0] * level.downsample, wanted[1] * level.downsample)  # working pixels per level pixel
        if max(abs(ratio - 1) for ratio in self._ratio) <= SCALE_TOLERANCE:
            self._ratio = (1.0, 1.0)
        self.scale = (self._ratio[0] / level.downsample, self._ratio[1] / level.downsample)
        self.height = max(1, round(level.height * self._ratio[0]))
        self.width = max(1, round(level.width * self._ratio[1]))
        self.corner = (0, 0)  # of what is seen, in working pixels of the slide

    def part(self, y: int, x: int, height: int, width: int) -> SlideView:
        """A view of a part alone, whose pixels are those of the whole.

        Args:
            y: first row, in working pixels of this view.
            x: first column.
            height: rows.
            width: columns.

        Raises:
            ValueError: for a part that is not within this view.
        """
        if not (0 <= y < y + height <= self.height and 0 <= x < x + width <= self.width):
            raise ValueError(f"({y}, {x}) and {height} x {width} pixels are not within {self.height} x {self.width}")
        part = copy.copy(self)
        part.corner, part.height, part.width = (self.corner[0] + y, self.corner[1] + x), height, width
        return part

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        """Pixels of a region, (height, width, channels) uint8.

        Args:
            y: first row, in working pixels; may lie outside, as may all others.
            x: first column.
            height: rows.
            width: columns.

        Raises:
            InputError: where the file is damaged there.
        """
        result = np.full((height, width, self.channels), WHITE, np.uint8)
        rows, columns = (max(1, int(PIECE * ratio)) for ratio in self._ratio)
        bottom, right = min(y + height, self.height), min(x + width, self.width)
        for top in range(max(y, 0), bottom, rows):
            for left in range(max(x, 0), right, columns):
                piece = self._piece(top, left, min(top + rows, bottom), min(left + columns, right))
                result[top - y : top - y + piece.shape[0], left - x : left - x + piece.shape[1]] = piece
        return result

    def _piece(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """A region inside the image, of bounded size."""
        down, across = self.corner
        top, left, bottom, right = top + down, left + across, bottom + down, right + across
        if self._ratio == (1.0, 1.0):
            pixels = self.slide.read(self.level, top, left, bottom - top, right - left)
        else:
            level = self.slide.levels[self.level]
            rows = axis_weights(top, bottom, self._ratio[0], level.height)
            columns = axis_weights(left, right, self._ratio[1], level.width)
            height, width = rows.last - rows.first, columns.last - columns.first
            pixels = resample_axes(self.slide.read(self.level, rows.first, columns.first, height, width), rows, columns)
        if self.channels == 3:
            return pixels
        return luma(pixels)[:, :, None]

    def to_base(self, points: np.ndarray) -> np.ndarray:
        """Points (K, 2) of (y, x) in working pixels, edges at whole numbers, to base pixels."""
        return (np.asarray(points) + self.corner) / np.asarray(self.scale)

    def part_of_picture(self, picture: np.ndarray) -> np.ndarray:
        """What this view shows of a picture (h, w, ...) of the whole slide."""
        ends = self.to_base(np.array([[0, 0], [self.height, self.width]]))
        share = ends / (self.slide.height, self.slide.width) * picture.shape[:2]
        (top, left), (bottom, right) = np.floor(share[0]).astype(int), np.ceil(share[1]).astype(int)
        return picture[top:bottom, left:right]

    def in_colour(self) -> SlideView:
        """The same view, read as RGB."""
        view = copy.copy(self)
        view.channels = 3
        return view


Rectangle = tuple[float, float, float, float]


def part_of(whole: SlideView, region: Sequence[int] | None, context: int) -> tuple[SlideView, Rectangle | None]:
    """The view that a region needs, and where the region lies in it.

    Args:
        whole: of the slide.
        region: x, y, width and height in base pixels; what lies outside the slide is left out. None for all of it.
        context: working pixels to be seen around it, as far as the slide goes.

    Returns:
        The view; and y0, x0, y1, x1 of the region in its pixels, None where there is none.

    Raises:
        InputError: for a region outside the slide.
    """
    if region is None:
        return whole, None
    x, y, width, height = region
    ends = [
        (max(0.0, start * scale), min(float(length), (start + size) * scale))
        for start, size, scale, length in (
            (y, height, whole.scale[0], whole.height),
            (x, width, whole.scale[1], whole.width),
        )
    ]
    top, left, bottom, right = base_region(whole, region)
    if any(first >= last for first, last in (*ends, (top, bottom), (left, right))):
        slide = whole.slide
        raise InputError(f"{slide.path}: region {list(region)} lies outside its {slide.width} x {slide.height} pixels")
    (y0, y1), (x0, x1) = ends
    top, left = (max(0, math.floor(first) - context) for first in (y0, x0))
    bottom, right = min(whole.height, math.ceil(y1) + context), min(whole.width, math.ceil(x1) + context)
    return whole.part(top, left, bottom - top, right - left), (y0 - top, x0 - left, y1 - top, x1 - left)


def base_region(whole: SlideView, region: Sequence[int]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of what the slide has of a region, in base pixels.

    Args:
        whole: of the slide.
        region: as for `part_of`, which refuses one that the slide has nothing of.
    """
    x, y, width, height = region
    return max(0, y), max(0, x), min(whole.slide.height, y + height), min(whole.slide.width, x + width)
