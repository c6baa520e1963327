"""A slide at the resolution that the network works at."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np

from monai_seunet.reading.colours import WHITE, luma
from monai_seunet.reading.slide import Slide
from monai_seunet.slides.resample import axis_weights, resample_axes

# A level may be this much coarser than what is wanted and still be read instead of the next finer one.
LEVEL_TOLERANCE = 0.01
# A scale this near to that of a level is that of the level: its pixels are taken as they are.
SCALE_TOLERANCE = 0.001
# Pixels a side of the level that are resampled at once: bounds the memory where there is no pyramid.
PIECE = 2048


class SlideView:
    """The slide at `scale` working pixels per base pixel, resampled from the coarsest level that is fine enough.

    Law: a region is exactly the same pixels whether it is read alone or as a part of a larger one; what lies outside
    the view is white. The image and its base level start at the same corner: (y, x) working is (y, x) / `scale` base.
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
