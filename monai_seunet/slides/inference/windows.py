"""Where the windows of a slide lie, in whole numbers."""

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
    """One window: its place in the grid, its record in the file of its row, and its first pixel."""

    row: int
    column: int
    record: int
    y: int
    x: int


@dataclass(frozen=True)
class WindowGrid:
    """Windows of one size at multiples of one step, which cover an image; the network sees some context around each.

    Invariant: every pixel is in a window; steps are multiples of the network's stride, so that all windows lie on the
    pooling grid of the whole image; a pixel is in at most two windows of a row and two of a column. Around a window is
    at least the context, or the end of the image: there the network's own padding comes, as for a whole image. Where
    the image ends off the pooling grid, it is mirrored at its border.

    Args:
        height: pixels of the image.
        width: pixels of the image.
        window: (height, width) of a window, multiples of the stride.
        step: (rows, columns) from one window to the next, multiples of the stride.
        seen: (height, width) of what the network gets for a window, at least that of the window.
        end: (height, width) of the image, mirrored at its border up to the pooling grid.
        beyond: ((above, below), (left, right)) pixels outside of the image, up to `end`, that may be seen as well.
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
        """The grid for an image, of as few windows as it needs, and these no larger than it needs.

        Args:
            height: pixels of the image.
            width: pixels of the image.
            window: largest side of the windows.
            overlap: pixels that a window shares with the next one, up to the next multiple of the stride, and at most
                half of the window.
            context: pixels that the network sees around a window, up to the next multiple of the stride.
            stride: total stride of the network.

        Raises:
            InputError: where the window is no multiple of the stride, or the overlap is more than half of it.
        """
        if window <= 0 or window % stride:
            good = max(1, round(window / stride)) * stride
            raise InputError(f"window is {window} pixels, no multiple of the network's stride {stride}; take {good}")
        if not 0 <= overlap <= window // 2:
            raise InputError(
                f"overlap is {overlap} pixels; between 0 and {window // 2}, half of the window, can be had"
            )
        if context < 0:
            raise InputError(f"context is {context} pixels; give 0 or more")
        axes = [
            _fit_axis(length, window, overlap, -(-context // stride) * stride, stride) for length in (height, width)
        ]
        sides, steps, seen, ends = zip(*axes, strict=True)
        return cls(height, width, sides, steps, seen, ends)

    def widened(self, context: int, beyond: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))) -> WindowGrid:
        """The same windows, around which the network sees another context.

        Args:
            context: pixels, a multiple of the stride of what is run on them.
            beyond: ((above, below), (left, right)) pixels outside of the image, from `end` on, that may be seen, too;
                multiples of the same stride.
        """
        seen_height, seen_width = (
            min(side + 2 * context, before + end + after)
            for side, end, (before, after) in zip(self.window, self.end, beyond, strict=True)
        )
        return replace(self, seen=(seen_height, seen_width), beyond=beyond)

    def place(self, window: Window) -> tuple[int, int]:
        """First pixel (y, x) of what the network sees for a window; negative where it lies beyond the image."""
        y, x = (
            min(max(-before, first - (seen - side) // 2), end + after - seen)
            for first, seen, side, end, (before, after) in zip(
                (window.y, window.x), self.seen, self.window, self.end, self.beyond, strict=True
            )
        )
        return y, x

    def cut(self, window: Window, values: np.ndarray) -> np.ndarray:
        """What belongs to a window, (..., height, width), of what the network said of all that it saw.

        Beyond the end of the image there are zeros.
        """
        y, x = self.place(window)
        part = values[..., window.y - y : window.y - y + self.window[0], window.x - x : window.x - x + self.window[1]]
        missing = [side - there for side, there in zip(self.window, part.shape[-2:], strict=True)]
        if not any(missing):
            return part
        return np.pad(part, [*[(0, 0)] * (part.ndim - 2), (0, missing[0]), (0, missing[1])])

    @property
    def rows(self) -> int:
        """Rows of windows, which are strips of the result as well."""
        return self._count(0, self.height)

    @property
    def columns(self) -> int:
        """Windows of a row."""
        return self._count(1, self.width)

    def strip(self, row: int) -> tuple[int, int]:
        """First and last + 1 line of the result that is whole once this row of windows is done."""
        start = row * self.step[0]
        return start, self.height if row == self.rows - 1 else start + self.step[0]

    def part(self, column: int) -> tuple[int, int]:
        """The same for columns."""
        start = column * self.step[1]
        return start, self.width if column == self.columns - 1 else start + self.step[1]

    def _count(self, axis: int, length: int) -> int:
        reach = length - (self.window[axis] - self.step[axis])
        return max(1, -(-reach // self.step[axis]))


def _fit_axis(length: int, window: int, overlap: int, context: int, stride: int) -> tuple[int, int, int, int]:
    """Side and step of the windows, what the network sees, and the end of the pooling grid, of one axis."""
    end = -(-length // stride) * stride
    if end <= window + 2 * context:  # all of it fits
        return end, end, end, end
    overlap = min(-(-overlap // stride), window // (2 * stride)) * stride
    count = -(-(length - overlap) // (window - overlap))
    step = -(-(length - overlap) // (count * stride)) * stride
    side = step + min(overlap, step)
    return side, step, min(side + 2 * context, end), end


def plan_windows(grid: WindowGrid, wanted: Callable[[int, int, int, int], bool]) -> list[Window]:
    """The windows that are computed, row by row.

    Args:
        grid: of the windows.
        wanted: (y0, x0, y1, x1) of a window -> whether there is anything in it.
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
    """Groups of windows that the network gets at once; which go together depends on nothing but the plan."""
    return [windows[start : start + size] for start in range(0, len(windows), size)]


def blend_weights(window: tuple[int, int], overlap: tuple[int, int]) -> np.ndarray:
    """How much each pixel of a window counts where windows overlap: a Gaussian falls across the overlap.

    Args:
        window: (height, width)
        overlap: (rows, columns) shared with each neighbour.

    Returns:
        (height, width) float32, 1 where no other window is, at least 1e-4.
    """
    lines = [_fall(side, shared) for side, shared in zip(window, overlap, strict=True)]
    return np.outer(*lines).astype(np.float32)


def _fall(side: int, shared: int) -> np.ndarray:
    place = np.arange(side) + 0.5
    depth = np.maximum(shared - np.minimum(place, side - place), 0)  # into the overlap
    return np.exp(-0.5 * (3 * depth / max(shared, 1)) ** 2)


class WindowReader:
    """Reads windows of a part of a slide, from several threads at once: each has the file open for itself.

    Args:
        slide: open.
        whole: the slide at the working resolution.
        part: of it, that the windows cover.
    """

    def __init__(self, slide: Slide, whole: SlideView, part: SlideView) -> None:
        self.slide, self.whole, self.part = slide, whole, part
        self._views = threading.local()
        self._opened: list[Slide] = []

    def beyond(self, end: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Pixels of the slide above and below, left and right of what the windows cover.

        Args:
            end: (height, width) of what they cover, from the corner of the part.
        """
        rows, columns = (
            (corner, max(0, length - corner - side))
            for corner, length, side in zip(self.part.corner, (self.whole.height, self.whole.width), end, strict=True)
        )
        return rows, columns

    def read(self, window: Window, grid: WindowGrid) -> np.ndarray:
        """What `grid` sees of a window, (height, width, channels); the slide is mirrored beyond its border."""
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
