"""Views of a slide at the working resolution of the network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from monai_seunet.reading.colours import WHITE, luma
from monai_seunet.reading.slide import Slide
from monai_seunet.utils.errors import InputError

# Weights are multiples of 1/2^14. Six binary places are kept between the two passes, so 32 bits are always enough.
WEIGHT_BITS = 14
KEPT_BITS = 6


class AxisWeights(NamedTuple):
    """Weights (new, last - first) of old pixels `first` to `last` - 1 for new pixels; each row has the sum 2^14."""

    matrix: csr_array
    first: int
    last: int


def axis_weights(start: int, stop: int, ratio: float, length: int) -> AxisWeights:
    """Return weights of linear interpolation, with a wider kernel against aliasing if the image shrinks.

    Invariant: the weights of a new pixel depend only on its index, `ratio` and `length`. Pixels outside the image have
    no weight, so a constant image stays constant.

    Args:
        start: index of the first new pixel.
        stop: index after the last new pixel.
        ratio: new pixels per old pixel.
        length: number of old pixels along the axis.
    """
    support = max(1.0, 1.0 / ratio)
    centres = (np.arange(start, stop) + 0.5) / ratio  # in old pixels; pixel j has its centre at j + 0.5
    left = np.floor(centres - support - 0.5).astype(np.int64) + 1
    old = left[:, None] + np.arange(int(np.ceil(2 * support)) + 1)  # (new, taps)
    weights = np.maximum(0.0, 1.0 - np.abs(old + 0.5 - centres[:, None]) / support)
    weights[(old < 0) | (old >= length)] = 0.0
    # Sums of integers do not depend on the order of summation.
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
    """Resample pixels with the weights of both axes.

    Invariant: values are exact to 1/64 before the final rounding. A pixel does not depend on the size of the region.

    Args:
        pixels: pixels (H, W, C) uint8 of rows `rows.first` to `rows.last` - 1, and of the columns likewise.
        rows: weights for H.
        columns: weights for W.

    Returns:
        Pixels (new rows, new columns, C) uint8.

    >>> halves = axis_weights(start=0, stop=2, ratio=0.5, length=4)
    >>> resample_axes(np.full((4, 4, 1), 7, np.uint8), halves, halves)[..., 0].tolist()
    [[7, 7], [7, 7]]
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


LEVEL_TOLERANCE = 0.01  # a level that is coarser by this share is still read instead of the next finer level
SCALE_TOLERANCE = 0.001  # a scale that is this near to a level becomes the level's, so nothing is resampled
PIECE = 2048  # side of the pieces that are resampled, in pixels of the level; limits the memory without a pyramid


class SlideView:
    """The slide at `scale` working pixels per base pixel, resampled from the coarsest level that is fine enough.

    Invariant: a region has exactly the same pixels alone and as a part of a larger region. Pixels outside the view are
    white. Point (y, x) of the view is point (y, x) / `scale` of the base level.
    Limits: a scale above 1 only interpolates.

    Args:
        slide: open slide; the caller closes it.
        scale: working pixels per base pixel, or a pair (y, x). A scale within 0.1 % of a level becomes the level's.
        channels: 3 for RGB; 1 for luma (ITU-R BT.601), which keeps the values of a grey image.

    Raises:
        ValueError: the scale is not above 0, or the number of channels is wrong.
    """

    def __init__(self, slide: Slide, scale: float | Sequence[float] = 1.0, channels: int = 3) -> None:
        wanted = (scale, scale) if isinstance(scale, int | float) else (scale[0], scale[1])
        if not all(0 < factor < math.inf for factor in wanted):
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
        self.corner = (0, 0)  # first pixel (y, x) of the view, in working pixels of the slide

    def part(self, y: int, x: int, height: int, width: int) -> SlideView:
        """Return the view of a part, with the same pixels.

        Args:
            y: first row, in working pixels of this view.
            x: first column.
            height: number of rows.
            width: number of columns.

        Raises:
            ValueError: the part is not within this view.
        """
        if not (0 <= y < y + height <= self.height and 0 <= x < x + width <= self.width):
            raise ValueError(f"({y}, {x}) and {height} x {width} pixels are not within {self.height} x {self.width}")
        part = copy.copy(self)
        part.corner, part.height, part.width = (self.corner[0] + y, self.corner[1] + x), height, width
        return part

    def read(self, y: int, x: int, height: int, width: int) -> np.ndarray:
        """Read pixels (height, width, channels) uint8 of a region, which may lie outside the view.

        Args:
            y: first row, in working pixels of this view.
            x: first column.
            height: number of rows.
            width: number of columns.

        Raises:
            InputError: the file is damaged in this region.
        """
        result = np.full((height, width, self.channels), WHITE, np.uint8)
        rows, columns = (max(1, int(PIECE * ratio)) for ratio in self._ratio)
        bottom, right = min(y + height, self.height), min(x + width, self.width)
        for top in range(max(y, 0), bottom, rows):
            for left in range(max(x, 0), right, columns):
                piece = self._piece(top, left, min(top + rows, bottom), min(left + columns, right))
                result[top - y : top - y + piece.shape[0], left - x : left - x + piece.shape[1]] = piece
        return result

    def tiles(self, corners: Iterable[tuple[int, int]], side: int) -> Iterator[np.ndarray]:
        """Read squares from these first pixels (y, x) on, cut at the border of the view."""
        for y, x in corners:
            yield self.read(y, x, min(side, self.height - y), min(side, self.width - x))

    def _piece(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """Read a small region inside the image."""
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
        return pixels if self.channels == 3 else luma(pixels)[:, :, None]

    def to_base(self, points: np.ndarray) -> np.ndarray:
        """Convert points (K, 2), y and x, from working pixels to base pixels; pixel edges are at integers."""
        return (np.asarray(points) + self.corner) / np.asarray(self.scale)

    def part_of_picture(self, picture: np.ndarray) -> np.ndarray:
        """Crop a picture (h, w, ...) of the whole slide to this view."""
        ends = self.to_base(np.array([[0, 0], [self.height, self.width]]))
        share = ends / (self.slide.height, self.slide.width) * picture.shape[:2]
        (top, left), (bottom, right) = np.floor(share[0]).astype(int), np.ceil(share[1]).astype(int)
        return picture[top:bottom, left:right]

    def in_colour(self) -> SlideView:
        """Return the same view in RGB."""
        view = copy.copy(self)
        view.channels = 3
        return view


Rectangle = tuple[float, float, float, float]


def part_of(whole: SlideView, region: Sequence[int] | None, context: int) -> tuple[SlideView, Rectangle | None]:
    """Return the view of a region with its context, and the position of the region in it.

    Args:
        whole: view of the whole slide.
        region: x, y, width and height in base pixels, cut at the border of the slide; None for the whole slide.
        context: width in working pixels of the context around the region, cut at the border of the slide.

    Returns:
        The view; and y0, x0, y1, x1 of the region in its pixels, or None for the whole slide.

    Raises:
        InputError: the region lies outside the slide.
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
    """Return top, left, bottom and right of a region in base pixels, cut at the border of the slide.

    Args:
        whole: view of the whole slide.
        region: x, y, width and height in base pixels.
    """
    x, y, width, height = region
    return max(0, y), max(0, x), min(whole.slide.height, y + height), min(whole.slide.width, x + width)
