"""Memory of training steps, measured in a separate process for each network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from contestants import Case, contestant
from timing import ALLOCATOR


def peak_training_memory(names: Collection[str], width: int, case: Case) -> dict[str, float]:
    """Return the MiB of training steps in addition to the memory of the process and the network."""
    options = [width, case.size, case.batch, case.threads]
    # the allocator returns freed memory immediately, so the peak contains only memory in use
    environment = {k: v for k, v in os.environ.items() if k not in ALLOCATOR} | {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    processes = {
        name: subprocess.Popen(
            [sys.executable, __file__, name, *map(str, options)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in names
    }
    return {name: float(process.communicate()[0]) for name, process in processes.items()}


def report_memory(name: str, width: int, case: Case) -> None:
    """Print the peak of two training steps over the resident memory before them."""
    run = contestant(name, width, case, train=True)
    tiny = contestant(name, width, Case(64, 2, case.threads), train=True)  # libraries allocate memory in the first step
    tiny()
    del tiny
    before = _resident("VmRSS")
    for _ in range(2):
        run()
    print(_resident("VmHWM") - before)


def _resident(field: str) -> float:
    """Return the MiB of this process now (VmRSS) or at its peak (VmHWM); `resource` would include the parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == "__main__":
    import torch

    name, width, *numbers = sys.argv[1:]
    case = Case(*map(int, numbers))
    torch.set_num_threads(case.threads)
    report_memory(name, int(width), case)
