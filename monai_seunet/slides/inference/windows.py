"""Positions of the windows of a slide, by integer arithmetic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.utils.errors import InputError


class Window(NamedTuple):
    """One window: its row and column in the grid, its record in the file of the row, and its first pixel."""

    row: int
    column: int
    record: int
    y: int
    x: int


@dataclass(frozen=True)
class WindowGrid:
    """Windows of one size at multiples of one step that cover an image; the network gets a context around each window.

    Invariant: every pixel is in a window, and in at most two windows of a row and two of a column. Steps are multiples
    of the network's stride, so all windows lie on the pooling grid of the whole image. The context of a window
    ends only at the end of the image, where the network pads as for a whole image. The image is mirrored at its border
    up to the pooling grid.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.
        window: height and width of a window, multiples of the stride.
        step: rows and columns from one window to the next, multiples of the stride.
        seen: height and width of the input of the network for a window, with the context.
        end: height and width of the mirrored image.
        beyond: ((above, below), (left, right)) pixels outside the image that can be context.

    >>> grid = WindowGrid.fit(height=100, width=64, window=64, overlap=16, context=0, stride=16)
    >>> grid.rows, grid.columns, grid.strip(0)
    (2, 1, (0, 48))
    """

    height: int
    width: int
    window: tuple[int, int]
    step: tuple[int, int]
    seen: tuple[int, int]
    end: tuple[int, int]
    beyond: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))

    @classmethod
    def fit(cls, height: int, width: int, window: int, overlap: int, context: int, stride: int) -> WindowGrid:
        """Return the grid with the fewest and the smallest windows for an image.

        Args:
            height: height of the image in pixels.
            width: width of the image in pixels.
            window: largest side of the windows in pixels.
            overlap: pixels that neighbouring windows share, at most half of the window; rounded up to the stride.
            context: pixels of context around a window; rounded up to the stride.
            stride: total stride of the network.

        Raises:
            InputError: the window is no multiple of the stride, or the overlap is more than half of it.
        """
        if window <= 0 or window % stride:
            good = max(1, round(window / stride)) * stride
            raise InputError(f"window is {window} pixels, no multiple of the network's stride {stride}; take {good}")
        if not 0 <= overlap <= window // 2:
            raise InputError(f"overlap is {overlap} pixels; give 0 to {window // 2}, half of the window")
        if context < 0:
            raise InputError(f"context is {context} pixels; give 0 or more")
        axes = [
            _fit_axis(length, window, overlap, -(-context // stride) * stride, stride) for length in (height, width)
        ]
        sides, steps, seen, ends = zip(*axes, strict=True)
        return cls(height, width, sides, steps, seen, ends)

    def widened(self, context: int, beyond: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))) -> WindowGrid:
        """Return the same windows with other pixels of context and `beyond`; these are multiples of the stride."""
        seen_height, seen_width = (
            min(side + 2 * context, before + end + after)
            for side, end, (before, after) in zip(self.window, self.end, beyond, strict=True)
        )
        return replace(self, seen=(seen_height, seen_width), beyond=beyond)

    def place(self, window: Window) -> tuple[int, int]:
        """Return the first pixel (y, x) of the input for a window; negative values lie outside the image."""
        y, x = (
            min(max(-before, first - (seen - side) // 2), end + after - seen)
            for first, seen, side, end, (before, after) in zip(
                (window.y, window.x), self.seen, self.window, self.end, self.beyond, strict=True
            )
        )
        return y, x

    def cut(self, window: Window, values: np.ndarray) -> np.ndarray:
        """Crop outputs of the network, with context, to the window (..., height, width); zeros outside the image."""
        y, x = self.place(window)
        part = values[..., window.y - y : window.y - y + self.window[0], window.x - x : window.x - x + self.window[1]]
        missing = [side - there for side, there in zip(self.window, part.shape[-2:], strict=True)]
        if not any(missing):
            return part
        return np.pad(part, [*[(0, 0)] * (part.ndim - 2), (0, missing[0]), (0, missing[1])])

    @property
    def rows(self) -> int:
        """Number of rows of windows, and of strips of the result."""
        return self._count(0, self.height)

    @property
    def columns(self) -> int:
        """Number of windows of a row."""
        return self._count(1, self.width)

    def strip(self, row: int) -> tuple[int, int]:
        """Return the first and the last + 1 line of the result that this row of windows completes."""
        start = row * self.step[0]
        return start, self.height if row == self.rows - 1 else start + self.step[0]

    def part(self, column: int) -> tuple[int, int]:
        """Return the first and the last + 1 column of the result that this column of windows completes."""
        start = column * self.step[1]
        return start, self.width if column == self.columns - 1 else start + self.step[1]

    def _count(self, axis: int, length: int) -> int:
        reach = length - (self.window[axis] - self.step[axis])
        return max(1, -(-reach // self.step[axis]))


def _fit_axis(length: int, window: int, overlap: int, context: int, stride: int) -> tuple[int, int, int, int]:
    """Return the side and step of the windows, the side of the input, and the end of the pooling grid on one axis."""
    end = -(-length // stride) * stride
    if end <= window + 2 * context:  # one window holds the whole axis
        return end, end, end, end
    overlap = min(-(-overlap // stride), window // (2 * stride)) * stride
    count = -(-(length - overlap) // (window - overlap))
    step = -(-(length - overlap) // (count * stride)) * stride
    side = step + min(overlap, step)
    return side, step, min(side + 2 * context, end), end


def plan_windows(grid: WindowGrid, wanted: Callable[[int, int, int, int], bool]) -> list[Window]:
    """Return the windows to predict, row by row.

    Args:
        grid: grid of the windows.
        wanted: function of the box y0, x0, y1, x1 of a window, returns whether it contains anything.
    """
    windows = []
    for row in range(grid.rows):
        record = 0
        for column in range(grid.columns):
            y, x = row * grid.step[0], column * grid.step[1]
            end = min(y + grid.window[0], grid.height), min(x + grid.window[1], grid.width)
            if wanted(y, x, *end):
                windows.append(Window(row, column, record, y, x))
                record += 1
    return windows


def batches(windows: Sequence[Window], size: int) -> list[Sequence[Window]]:
    """Split windows into batches; only the plan decides which windows share a batch."""
    return [windows[start : start + size] for start in range(0, len(windows), size)]


def blend_weights(window: tuple[int, int], overlap: tuple[int, int]) -> np.ndarray:
    """Return the weights of the pixels of a window, which fall like a Gaussian across the overlap.

    Args:
        window: height and width of a window.
        overlap: rows and columns that neighbours share.

    Returns:
        Weights (height, width) float32, 1 outside the overlap, at least 1e-4.
    """
    lines = [_fall(side, shared) for side, shared in zip(window, overlap, strict=True)]
    return np.outer(*lines).astype(np.float32)


def _fall(side: int, shared: int) -> np.ndarray:
    place = np.arange(side) + 0.5
    depth = np.maximum(shared - np.minimum(place, side - place), 0)  # into the overlap
    return np.exp(-0.5 * (3 * depth / max(shared, 1)) ** 2)


class WindowReader:
    """Reads windows of a part of a slide in several threads; each thread opens the file itself.

    Args:
        slide: open slide.
        whole: view of the whole slide at the working resolution.
        part: view of the part that the windows cover.
    """

    def __init__(self, slide: Slide, whole: SlideView, part: SlideView) -> None:
        self.slide, self.whole, self.part = slide, whole, part
        self._views = threading.local()
        self._opened: list[Slide] = []

    def beyond(self, end: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the pixels of the slide ((above, below), (left, right)) outside an area of height and width `end`."""
        rows, columns = (
            (corner, max(0, length - corner - side))
            for corner, length, side in zip(self.part.corner, (self.whole.height, self.whole.width), end, strict=True)
        )
        return rows, columns

    def read(self, window: Window, grid: WindowGrid) -> np.ndarray:
        """Read the input (height, width, channels) of a window in `grid`; the slide is mirrored at its border."""
        whole = self._whole_of_this_thread()
        (top, left), (rows, columns) = grid.place(window), grid.seen
        y, x = top + self.part.corner[0], left + self.part.corner[1]
        height, width = min(rows, whole.height - y), min(columns, whole.width - x)
        pixels = whole.read(y, x, height, width)
        return np.pad(pixels, ((0, rows - height), (0, columns - width), (0, 0)), mode="symmetric")

    def close(self) -> None:
        """Close the file in all threads."""
        for slide in self._opened:
            slide.close()

    def _whole_of_this_thread(self) -> SlideView:
        if not hasattr(self._views, "whole"):
            slide = self.slide.for_thread()
            self._opened.append(slide)
            self._views.whole = SlideView(slide, self.part.scale, self.part.channels)
        return self._views.whole
