"""The pixels of a slide that a network sees for a window."""

from __future__ import annotations

import threading

import numpy as np

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.inference.windows import Window, WindowGrid


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
