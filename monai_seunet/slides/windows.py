"""Where the windows of a slide lie, in whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_seunet.errors import InputError


class Window(NamedTuple):
    """One window: its place in the grid, its record in the file of its row, and its first pixel."""

    row: int
    column: int
    record: int
    y: int
    x: int


@dataclass(frozen=True)
class WindowGrid:
    """Windows of one size at multiples of one step, which cover an image.

    Law: every pixel is in a window; steps are multiples of the network's stride, so that all windows lie on the pooling
    grid of the whole image; a pixel is in at most two windows of a row and two of a column. The last windows reach over
    the end of the image, where its border is repeated.

    Args:
        height: pixels of the image.
        width: pixels of the image.
        window: (height, width) of a window, multiples of the stride.
        step: (rows, columns) from one window to the next, multiples of the stride.
    """

    height: int
    width: int
    window: tuple[int, int]
    step: tuple[int, int]

    @classmethod
    def fit(cls, height: int, width: int, window: int, overlap: int, stride: int) -> WindowGrid:
        """The grid for an image, with windows no larger than it needs.

        Args:
            height: pixels of the image.
            width: pixels of the image.
            window: side of the windows.
            overlap: pixels that a window shares with the next one, up to the next multiple of the stride, and at most
                half of the window.
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
        blocks = window // stride
        step = max((window - overlap) // stride, -(-blocks // 2)) * stride
        sides = [min(window, -(-length // stride) * stride) for length in (height, width)]
        steps = [min(step, side) for side in sides]
        return cls(height, width, (sides[0], sides[1]), (steps[0], steps[1]))

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


def blend_weights(window: tuple[int, int], sigma: float = 0.125) -> np.ndarray:
    """How much each pixel of a window counts where windows overlap: a Gaussian, the most in the middle.

    Args:
        window: (height, width)
        sigma: of the Gaussian, in sides of the window.

    Returns:
        (height, width) float32, at least 0.001 of the largest.
    """
    lines = [np.exp(-0.5 * ((np.arange(n) + 0.5 - n / 2) / (sigma * n)) ** 2) for n in window]
    return np.maximum(np.outer(*lines), 1e-3).astype(np.float32)
