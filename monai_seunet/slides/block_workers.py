"""Nuclei of a slide, block by block in worker processes, while the network is still at work further down."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from monai_seunet.slides.nuclei.blocks import MARGIN, Block, objects_of_block
from monai_seunet.slides.nuclei.measure import Maps
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.outputs.zarr_pyramid import open_maps


class _NotYetError(Exception):
    """A block needs lines of the maps that are not there yet."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class BlockTask:
    """Finds the nuclei of one block and writes them to a file; what a worker process gets.

    Args:
        maps: folder of the maps, see `create_maps`.
        size: height and width of the maps.
        rules: of the working resolution.
        grouped: whether the network has scale groups.
        region: y0, x0, y1, x1 in pixels of the maps: nuclei whose centre is not there are left out; None for none.
    """

    maps: Path
    size: tuple[int, int]
    rules: PixelRules
    grouped: bool
    region: tuple[float, float, float, float] | None = None

    def __call__(self, block: Block, file: Path, lines: int) -> tuple[int, float]:
        """Find the nuclei of a block.

        Args:
            block: of the plan.
            file: to write.
            lines: of the maps that are whole.

        Returns:
            The line up to which the block needs the maps, 0 where it is done; and the seconds that it took.
        """
        start = time.perf_counter()
        maps = open_maps(self.maps, "r")

        def read(y0: int, x0: int, y1: int, x1: int) -> Maps:
            if y1 > lines:
                raise _NotYetError(y1)
            part = np.s_[..., y0:y1, x0:x1]
            groups = np.asarray(maps.scale[part]) if self.grouped else None
            directions = None if maps.directions is None else np.asarray(maps.directions[part])
            return Maps(np.asarray(maps.probability[part]), groups, directions)

        try:
            objects = objects_of_block(read, block, self.size, self.rules)
        except _NotYetError as wanted:
            return wanted.line, time.perf_counter() - start
        (objects if self.region is None else objects.within(*self.region)).save(file)
        return 0, time.perf_counter() - start


class BlockWorkers:
    """Hands out blocks as soon as the lines that they need are there.

    Invariant: the files are a function of maps and rules alone, whatever the number of workers and their order.

    Args:
        task: for one block.
        blocks: of the plan.
        files: one for each block; those that are there already are kept.
        executor: runs the task.
    """

    def __init__(self, task: BlockTask, blocks: Sequence[Block], files: Sequence[Path], executor: Executor) -> None:
        self.task, self.executor = task, executor
        self.seconds = 0.0
        height = task.size[0]
        # by the line that they need; a heap
        self._waiting = sorted(
            (min(block.y1 + MARGIN, height), block, file)
            for block, file in zip(blocks, files, strict=True)
            if not file.exists()
        )
        self._running: dict[Future[tuple[int, float]], tuple[Block, Path]] = {}

    def advance(self, lines: int) -> None:
        """Hand out what can be done with so many lines of the maps; does not wait.

        Raises:
            Exception: what a worker raised.
        """
        self._collect([future for future in self._running if future.done()])
        self._submit(lines)

    def finish(self, lines: int, progress: tqdm | None = None) -> None:
        """Do all that is left, with all lines there."""
        while self._waiting or self._running:
            self._submit(lines)
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            self._collect(done)
            if progress is not None:
                progress.set_postfix_str(f"{len(self._waiting) + len(self._running)} blocks left")

    def _submit(self, lines: int) -> None:
        while self._waiting and self._waiting[0][0] <= lines:
            _, block, file = heapq.heappop(self._waiting)
            self._running[self.executor.submit(self.task, block, file, lines)] = (block, file)

    def _collect(self, futures: Any) -> None:
        for future in futures:
            block, file = self._running.pop(future)
            line, seconds = future.result()
            self.seconds += seconds
            if line:
                heapq.heappush(self._waiting, (line, block, file))


@contextmanager
def block_executor(workers: int) -> Iterator[Executor]:
    """Worker processes, or one thread for 0 workers and in processes that may not have children, as some of Dask's.

    The processes come from a server that has loaded the package, not from this one, whose threads and memory they would
    inherit. They end with this one, even where it is killed.
    """
    if workers == 0 or multiprocessing.current_process().daemon:
        with ThreadPoolExecutor(1) as threads:
            yield threads
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as processes:
        try:
            yield processes
        except BaseException:
            processes.shutdown(wait=True, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """End this worker when the process that wants its results is no more: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
