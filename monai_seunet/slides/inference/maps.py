"""The probability and scale maps of a slide: windows through the network, rows of windows blended into strips."""

from __future__ import annotations

import ctypes
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from monai_seunet.fusion import reach
from monai_seunet.slides.inference.blend import Strip, WindowStore, blend_strip
from monai_seunet.slides.inference.windows import Window, WindowGrid, batches, blend_weights
from monai_seunet.slides.work_folder import WorkFolder

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item], threads: int, ahead: int) -> Iterator[Result]:
    """Results of a function of each item, in the order of the items, up to `ahead` computed before they are taken.

    An error arrives where its result would have. (MONAI's `ThreadBuffer` ends without a word at one.)

    Args:
        function: called in the threads.
        items: taken as they are needed.
        threads: at least 1.
        ahead: how many results may wait.
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


ReadWindow = Callable[[Window], torch.Tensor]
Predict = Callable[[torch.Tensor, Sequence[Window]], np.ndarray]
WriteStrip = Callable[[int, Strip], None]


@dataclass
class MapMaker:
    """Makes the maps strip by strip, and goes on where a killed process stopped.

    Invariant: the maps are a function of what `read` and `predict` give, whatever the interruptions: which windows
    share a batch depends on the plan alone.
    Memory: some batches, four windows a part of a strip, and one or two strips.

    Args:
        grid: of the windows.
        windows: those that are computed, see `plan_windows`.
        read: window -> (C, h, w) of what is seen for it, as the network takes it; called in several threads.
        predict: (pixels (B, C, h, w), B windows) -> probabilities (B, S, N - 1, height, width) of the foreground
            classes in the windows, then directions and weights of the groups, see `WindowPredictor`.
        write: (row, strip) -> keep the strip; may be called again with the same one.
        work: where the rows of windows are kept.
        strategy: of the fusion.
        num_classes: N.
        num_groups: S.
        batch: windows that the network gets at once.
        threads: that read.
        directions: whether the network gives them.
    """

    grid: WindowGrid
    windows: Sequence[Window]
    read: ReadWindow
    predict: Predict
    write: WriteStrip
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
        """Make all maps; yields how many lines of them are whole, whenever there are more."""
        whole = self.work.strips
        yield self._lines(whole)
        with ThreadPoolExecutor(1) as blender:
            waiting: list[Future[int]] = []
            for row in self._rows_done(whole, progress):
                for strip in range(whole, row + 1):
                    waiting.append(blender.submit(self._blend, strip))
                whole = max(whole, row + 1)
                while len(waiting) > 1:  # one strip is blended beside the network
                    yield self._lines(waiting.pop(0).result())
            for future in waiting:
                yield self._lines(future.result())

    def _rows_done(self, whole: int, progress: tqdm | None) -> Iterator[int]:
        """Compute what is missing; yields the last row of windows that is complete, when it is."""
        groups = batches(self.windows, self.batch)
        needed = whole - 1  # the row of windows above the first strip that is missing
        missing = [group for group in groups if any(w.row >= needed and not self._holds(w) for w in group)]
        if progress is not None:
            progress.update(len(self.windows) - sum(map(len, missing)))
        last = self.grid.rows - 1
        for place, pixels in enumerate(prefetch(self._read_batch, missing, self.threads, 2 * self.threads)):
            group = missing[place]
            probabilities = self._timed("network", self.predict, pixels, group)
            for window, values in zip(group, probabilities, strict=True):
                if window.row >= needed:
                    self._timed("keep", self._row(window.row).write, window.record, values)
            if progress is not None:
                progress.update(len(group))
            complete = missing[place + 1][0].row - 1 if place + 1 < len(missing) else last
            if complete >= whole:
                yield complete
        if not missing:
            yield last

    def _blend(self, row: int) -> int:
        """Make a strip, and forget the row of windows that no other strip needs; returns how many strips are whole."""
        strip = self._timed(
            "blend",
            blend_strip,
            self.grid,
            row,
            self._places,
            self._recorded,
            self._weights,
            self.strategy,
            self.num_classes,
            self.directions,
        )
        self._timed("write maps", self.write, row, strip)
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
        def read() -> torch.Tensor:
            images = [self.read(window) for window in group]
            return torch.stack(images) if len(images) > 1 else images[0].unsqueeze(0)  # no copy of a single one

        return self._timed("read", read)

    def _timed(self, what: str, function: Callable[..., Result], *arguments: object) -> Result:
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds[what] += time.perf_counter() - start


def return_freed_memory() -> None:
    """Give back what the C library keeps for later; does nothing where it is not glibc.

    Arrays of some megabytes that several threads make and free leave holes, which add up to a gigabyte over a slide.
    Costs milliseconds; a lower threshold for memory of its own (MALLOC_MMAP_THRESHOLD_) nearly doubles the time of the
    network.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
