"""Peak memory of networks on the device: of the GPU, or else of the process."""

from __future__ import annotations

import argparse
import gc
import warnings
from collections.abc import Callable
from pathlib import Path

from records import Records, run_step
from speed import NETWORKS, QUICK, all_runs
from timing import ALLOCATOR, start_again_with


def peak(run: Callable[[], None], device: str) -> float:
    """Return the MiB of a run in addition to what is in use before: of the GPU, or else of the process."""
    import torch

    if torch.device(device).type == "cuda":
        run()  # the first run of a shape chooses algorithms, which need memory of their own
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # sets the peak back
    before = _resident("VmRSS")
    run()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def peak_memory(records: Records, options: argparse.Namespace) -> None:
    """Measure the peak memory of inference and of training steps."""
    # on a CPU, the allocator returns freed memory immediately, so the peak contains only memory in use
    start_again_with(dict.fromkeys(ALLOCATOR, "0") | {"MALLOC_MMAP_THRESHOLD_": str(2**16)})
    warnings.simplefilter("ignore")
    for networks in (QUICK if options.quick else NETWORKS).values():
        for title, _, runs in all_runs(networks, options):
            for name, run in runs.items():
                records.figure(f"{title}: {name}", peak(run, options.device), "MiB")
            records.check(f"{title}: all networks are measured", bool(runs), ", ".join(runs))


if __name__ == "__main__":
    run_step(peak_memory)
