"""Probability and scale maps of a slide: the network predicts windows, and rows of windows are blended into strips."""

from __future__ import annotations

import ctypes
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from monai_seunet.fusion import reach
from monai_seunet.slides.inference.blend import WindowStore, blend_strip
from monai_seunet.slides.inference.windows import Window, WindowGrid, batches, blend_weights
from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.work_folder import WorkFolder

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int) -> Iterator[Result]:
    """Yield the results of a function for each item in order, computed in threads ahead of the consumer.

    An error is raised in place of its result. (MONAI's `ThreadBuffer` ends without an error.)

    Args:
        function: function of one item, called in the threads.
        items: arguments of the function.
        threads: number of threads, at least 1.
        ahead: largest number of results that wait for the consumer.

    >>> list(prefetch(abs, [-1, 2, -3], threads=2, ahead=1))
    [1, 2, 3]
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass
class MapMaker:
    """Makes the maps strip by strip, and resumes after an interruption.

    Invariant: the maps depend only on `read` and `predict`, not on interruptions, because the plan alone decides which
    windows share a batch.
    Memory: some batches, four windows for a part of a strip, and one or two strips.

    Args:
        grid: grid of the windows.
        windows: windows to predict, see `plan_windows`.
        read: function of a window, returns the input (C, h, w) of the network; called in several threads.
        predict: function of pixels (B, C, h, w) and B windows, see `WindowPredictor`.
        write: function of a row and its strip that stores the strip; it may be called again with the same strip.
        work: folder of the window stores.
        strategy: fusion strategy.
        num_classes: number N of classes with the background.
        num_groups: number S of scale groups.
        batch: number of windows in a batch.
        threads: number of reading threads.
        directions: True if the network gives directions.
    """

    grid: WindowGrid
    windows: Sequence[Window]
    read: Callable[[Window], torch.Tensor]
    predict: Callable[[torch.Tensor, Sequence[Window]], np.ndarray]
    write: Callable[[int, Maps], None]
    work: WorkFolder
    strategy: str
    num_classes: int
    num_groups: int
    batch: int = 4
    threads: int = 1
    directions: bool = False
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        overlap = [side - step for side, step in zip(self.grid.window, self.grid.step, strict=True)]
        self._weights = blend_weights(self.grid.window, (overlap[0], overlap[1]))
        self._places = {(window.row, window.column): window for window in self.windows}

    def run(self, progress: tqdm | None = None) -> Iterator[int]:
        """Make all maps; yield the number of complete lines after each strip."""
        whole = self.work.strips
        yield self._lines(whole)
        with ThreadPoolExecutor(1) as blender:
            waiting: list[Future[int]] = []
            for row in self._rows_done(whole, progress):
                for strip in range(whole, row + 1):
                    waiting.append(blender.submit(self._blend, strip))
                whole = max(whole, row + 1)
                while len(waiting) > 1:  # one strip is blended while the network runs
                    yield self._lines(waiting.pop(0).result())
            for future in waiting:
                yield self._lines(future.result())

    def _rows_done(self, whole: int, progress: tqdm | None) -> Iterator[int]:
        """Predict the missing windows; yield the last complete row of windows whenever it changes."""
        groups = batches(self.windows, self.batch)
        needed = whole - 1  # the first missing strip also needs the row of windows above it
        missing = [group for group in groups if any(w.row >= needed and not self._holds(w) for w in group)]
        if progress is not None:
            progress.update(len(self.windows) - sum(map(len, missing)))
        last = self.grid.rows - 1
        for index, pixels in enumerate(prefetch(self._read_batch, missing, self.threads, 2 * self.threads)):
            group = missing[index]
            with self._timed("network"):
                probabilities = self.predict(pixels, group)
            for window, values in zip(group, probabilities, strict=True):
                if window.row >= needed:
                    with self._timed("keep"):
                        self._row(window.row).write(window.record, values)
            if progress is not None:
                progress.update(len(group))
            complete = missing[index + 1][0].row - 1 if index + 1 < len(missing) else last
            if complete >= whole:
                yield complete
        if not missing:
            yield last

    def _blend(self, row: int) -> int:
        """Make a strip, delete the row of windows that no other strip needs, and return the number of strips."""
        options = (self._weights, self.strategy, self.num_classes, self.directions)
        with self._timed("blend"):
            strip = blend_strip(self.grid, row, self._places, self._recorded, *options)
        with self._timed("write maps"):
            self.write(row, strip)
        self.work.strips = row + 1
        if row:
            self._row(row - 1).delete()
        return row + 1

    def _lines(self, strips: int) -> int:
        return self.grid.strip(strips - 1)[1] if strips else 0

    def _row(self, row: int) -> WindowStore:
        channels = self.num_classes - 1 + 2 * self.directions + bool(reach(self.strategy))
        return WindowStore(self.work.row(row), (self.num_groups, channels, *self.grid.window))

    def _holds(self, window: Window) -> bool:
        return self._row(window.row).holds(window.record)

    def _recorded(self, window: Window) -> np.ndarray:
        values = self._row(window.row).read(window.record)
        if values is None:
            raise OSError(f"{self.work.row(window.row)}: the record of window {window} is damaged")
        return values

    def _read_batch(self, group: Sequence[Window]) -> torch.Tensor:
        with self._timed("read"):
            images = [self.read(window) for window in group]
            return torch.stack(images) if len(images) > 1 else images[0].unsqueeze(0)  # avoids a copy of one image

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[step] += time.perf_counter() - start


def return_freed_memory() -> None:
    """Return the free memory of glibc to the system; other C libraries stay as they are.

    Arrays of some megabytes that several threads allocate and free fragment the heap, by up to a gigabyte in a slide.
    The call takes milliseconds. A lower MALLOC_MMAP_THRESHOLD_ would nearly double the time of the network.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
