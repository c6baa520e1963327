"""Common functions of the benchmarks: memory settings, interleaved runs, and results in a file."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path

# The process keeps freed memory: otherwise page faults take half of the measured time. (The kernels allocate memory
# separately, in large pages if the system supports them: see `monai_seunet/native/kernels.py`.)
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
# Seconds before a run in which the threads of the previous run stop waiting. The pause is a busy loop as in a training,
# because the system starts the threads of an idle process late.
PAUSE = 0.05


def start_again_with(environment: dict[str, str]) -> None:
    """Restart this process with environment variables that are read only at the start of a process."""
    if any(os.environ.get(key) != value for key, value in environment.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | environment)


def touch_memory(blocks: int = 12) -> None:
    """Allocate blocks of 256 MiB before the first measurement, because the slow forms run only once."""
    import torch

    memory = [torch.zeros(2**26) for _ in range(blocks)]
    del memory


def time_all(
    runs: dict[str, Callable[[], None]],
    rounds: int,
    slow: Collection[str] = (),
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of interleaved runs after a warm-up round; slow runs are measured once."""
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
    """Write the file in one atomic step."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2))
    temporary.replace(path)
