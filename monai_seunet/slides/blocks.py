"""Search for the nuclei of a slide in blocks, in processes that run beside the network."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from tqdm import tqdm

from monai_seunet.slides.inference.density import open_density
from monai_seunet.slides.nuclei.areas import Area, Components, Maps, find_components
from monai_seunet.slides.nuclei.find import nuclei_of
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.outputs.zarr_pyramid import open_maps

MARGIN = 64  # first margin around a block, in pixels
MAX_EXTENT = 1536  # largest component that is not cut, in pixels; blocks of 1024 then need 4096 x 4096 in memory


class Block(NamedTuple):
    """A rectangle of pixels; y1 and x1 are excluded."""

    y0: int
    x0: int
    y1: int
    x1: int


def plan_blocks(height: int, width: int, side: int = 1024) -> list[Block]:
    """Tile an area of pixels by squares, row by row; the last square of a row or column may be smaller.

    Invariant: every pixel is in exactly one block.

    >>> plan_blocks(height=100, width=150, side=100)
    [Block(y0=0, x0=0, y1=100, x1=100), Block(y0=0, x0=100, y1=100, x1=150)]
    """
    if side < 1:
        raise ValueError(f"the side of a block is {side}; it has to be positive")
    return [
        Block(y, x, min(y + side, height), min(x + side, width))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


def objects_of_block(
    read_maps: Callable[[int, int, int, int], Maps],
    block: Block,
    size: tuple[int, int],
    rules: PixelRules,
    margin: int = MARGIN,
    max_extent: int = MAX_EXTENT,
) -> Objects:
    """Find the nuclei of the connected components that have their first pixel (by row, then column) in a block.

    The margin around the block grows until it holds these components.
    Invariant: the nuclei of all blocks are the nuclei of the whole slide by `find_nuclei`, for any blocks.
    Limits: a component that is higher or wider than `max_extent` is cut along the blocks, with a note. Memory is
    bounded by the block and twice `max_extent`.

    Args:
        read_maps: function that returns the maps of y0, x0, y1, x1, within the slide.
        block: block of the plan.
        size: height and width of the slide at the working resolution.
        rules: rules in pixels.
        margin: first margin around the block in pixels.
        max_extent: largest component that is not cut, in pixels.
    """
    margin = min(max(margin, rules.hole + 1), max_extent)  # no small hole may reach the border of the maps
    while True:
        corner = max(block.y0 - margin, 0), max(block.x0 - margin, 0)
        geometry = Block(*corner, min(block.y1 + margin, size[0]), min(block.x1 + margin, size[1]))
        maps = read_maps(*geometry)
        found = find_components(maps.probability, rules)
        core = Block(block.y0 - geometry.y0, block.x0 - geometry.x0, block.y1 - geometry.y0, block.x1 - geometry.x0)
        inside = np.bincount(found.labels[core.y0 : core.y1, core.x0 : core.x1].ravel(), minlength=len(found.areas))
        here = [number for number in range(1, len(found.areas)) if inside[number]]
        large = {number for number in here if _extent(found, number) > max_extent}
        if margin == max_extent or not any(_is_cut(found, n, geometry, size) for n in here if n not in large):
            break
        margin = min(2 * margin, max_extent)
    components: list[Area] = []
    notes: list[str] = []
    for number in here:
        if number in large:
            components += _parts(found, number, core)
            rows, columns = found.slices[number - 1]
            notes.append(
                f"connected foreground at row {geometry.y0 + rows.start}, column {geometry.x0 + columns.start} is "
                f"larger than {max_extent} pixels; it was cut along blocks"
            )
        elif _starts_in(found, number, core):
            components.append(found.area(number))
    return nuclei_of(components, maps, rules, (geometry.y0, geometry.x0), tuple(notes))


def _extent(found: Components, number: int) -> int:
    rows, columns = found.slices[number - 1]
    return max(rows.stop - rows.start, columns.stop - columns.start)


def _is_cut(found: Components, number: int, geometry: Block, size: tuple[int, int]) -> bool:
    """Return whether a component touches a border of the area that is not the border of the slide."""
    rows, columns = found.slices[number - 1]
    return (
        (rows.start == 0 and geometry.y0 > 0)
        or (columns.start == 0 and geometry.x0 > 0)
        or (rows.stop == geometry.y1 - geometry.y0 and geometry.y1 < size[0])
        or (columns.stop == geometry.x1 - geometry.x0 and geometry.x1 < size[1])
    )


def _starts_in(found: Components, number: int, core: Block) -> bool:
    """Return whether the first pixel of a component lies in the block."""
    rows, columns = found.slices[number - 1]
    column = columns.start + int((found.labels[rows.start, columns] == number).argmax())
    return core.y0 <= rows.start < core.y1 and core.x0 <= column < core.x1


def _parts(found: Components, number: int, core: Block) -> list[Area]:
    """Return the connected parts of a component within the block."""
    pieces, _ = ndimage.label(found.labels[core.y0 : core.y1, core.x0 : core.x1] == number)
    return [
        Area(pieces[rows, columns] == piece, core.y0 + rows.start, core.x0 + columns.start)
        for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1)
    ]


class _NotYetError(Exception):
    """A block needs lines of the maps that are not written yet."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class BlockTask:
    """Function for a worker process that finds the nuclei of one block and writes them to a file.

    Args:
        maps: folder of the maps, see `create_maps`.
        density: array of a `DensityMap`; None if the slide has no stains.
        size: height and width of the maps.
        rules: rules in pixels.
        grouped: True if the network has scale groups.
        region: y0, x0, y1, x1 in pixels of the maps for the centres of nuclei; None for all nuclei.
    """

    maps: Path
    density: Path | None
    size: tuple[int, int]
    rules: PixelRules
    grouped: bool
    region: tuple[float, float, float, float] | None = None

    def __call__(self, block: Block, file: Path, lines: int) -> tuple[int, float]:
        """Find the nuclei of a block.

        Args:
            block: block of the plan.
            file: path of the file.
            lines: number of complete lines of the maps.

        Returns:
            The number of lines that the block needs, or 0 if it is done; and the time in seconds.
        """
        start = time.perf_counter()
        maps = open_maps(self.maps, "r")
        stored = None if self.density is None else open_density(self.density)

        def read(y0: int, x0: int, y1: int, x1: int) -> Maps:
            if y1 > lines:
                raise _NotYetError(y1)
            part = np.s_[..., y0:y1, x0:x1]
            groups = np.asarray(maps.scale[part]) if self.grouped else None
            directions = None if maps.directions is None else np.asarray(maps.directions[part])
            density = None if stored is None else np.asarray(stored[part])
            return Maps(np.asarray(maps.probability[part]), groups, directions, density)

        try:
            objects = objects_of_block(read, block, self.size, self.rules)
        except _NotYetError as wanted:
            return wanted.line, time.perf_counter() - start
        (objects if self.region is None else objects.within(*self.region)).save(file)
        return 0, time.perf_counter() - start


class BlockWorkers:
    """Submits blocks as soon as the lines of the maps that they need are complete.

    Invariant: the files depend only on maps and rules, not on the workers.

    Args:
        task: task for one block.
        blocks: blocks of the plan.
        files: file of each block; existing files are kept.
        executor: executor of the tasks.
    """

    def __init__(self, task: BlockTask, blocks: Sequence[Block], files: Sequence[Path], executor: Executor) -> None:
        self.task, self.executor = task, executor
        self.seconds = 0.0
        height = task.size[0]
        # a heap with the least number of lines first
        self._waiting = sorted(
            (min(block.y1 + MARGIN, height), block, file)
            for block, file in zip(blocks, files, strict=True)
            if not file.exists()
        )
        self._running: dict[Future[tuple[int, float]], tuple[Block, Path]] = {}

    def advance(self, lines: int) -> None:
        """Submit the blocks for this number of complete lines without waiting.

        Raises:
            Exception: a worker raised it.
        """
        self._collect([future for future in self._running if future.done()])
        self._submit(lines)

    def finish(self, lines: int, progress: tqdm | None = None) -> None:
        """Find the nuclei of all other blocks after the last line."""
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
    """Start worker processes; or one thread for 0 workers, and in a daemon of Dask, which cannot have child processes.

    A server that has loaded the package forks the workers, so they do not inherit threads and memory of this
    process. They end with this process, even if it is killed.
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
    """End this worker when its parent process ends; otherwise it would wait for work forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
