"""What the benchmarks share: the settings of memory, runs in turns, results in a file."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

# Freed memory stays with the process, for every contestant alike: else page faults are half of what is measured. (The
# kernels have memory of their own, in large pages where the system gives them: see `monai_seunet/native/memory.py`.)
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
PAUSE = 0.05  # seconds before a run, in which the threads of the one before stop waiting for more work; busy, as in
# a training, since the system starts threads of an idle process late


def start_again_with(environment: dict[str, str]) -> None:
    """Replace this process by one that has these settings, which are read when a process starts."""
    if any(os.environ.get(key) != value for key, value in environment.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | environment)


def touch_memory(blocks: int = 12) -> None:
    """Have the system give memory, 256 MiB a block, before anything is timed: the slow forms run only once."""
    import torch

    kept = [torch.zeros(2**26) for _ in range(blocks)]
    del kept


def time_all(
    runs: dict[str, Callable[[], None]],
    rounds: int,
    slow: Collection[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each run, taken in turns after a round to warm up; of the slow ones, one."""
    from monai_seunet.utils.progress import progress_bar

    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in progress_bar(range(rounds + 1), desc="rounds", leave=False):
        for name, run in runs.items():
            if name in slow and seconds[name]:
                continue
            end = time.perf_counter() + PAUSE
            while time.perf_counter() < end:
                pass
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values[1:] or values) for name, values in seconds.items()}


def write_json(content: dict | list, path: Path) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2))
    temporary.replace(path)
