"""The threads of the kernels, beside those of torch.

After each of its own calculations torch's threads wait for the next one in a loop, for some ten milliseconds, and
take the processors that the kernels want meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from pathlib import Path

import torch

_SOFT = 1  # `omp_pause_soft` of OpenMP 5.0: the settings stay, threads end and start again when they are needed
_PROCESS = os.getpid()  # in one that is forked they do not exist, and ending them would take forever


def kernel_threads(tasks: int | None = None) -> int:
    """Threads for a call of kernels that has so many tasks: at most as many as torch may use."""
    threads = torch.get_num_threads()
    threads = threads if tasks is None else max(1, min(threads, tasks))
    end_waiting_threads(threads)
    return threads


def end_waiting_threads(threads: int) -> None:
    """End the threads of torch that wait for work of this thread, before kernels take more than one."""
    runtime = _openmp() if threads > 1 and os.getpid() == _PROCESS else None
    if runtime is not None:
        runtime.omp_pause_resource_all(_SOFT)  # refused, without harm, within a calculation of torch


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library of torch where it is GNU's, whose threads can be ended; else None."""
    suffix = "dylib" if platform.system() == "Darwin" else "so"
    path = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
    if not hasattr(os, "RTLD_NOLOAD"):
        return None
    try:
        runtime = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)  # finds what torch itself finds
    except OSError:
        return None
    gnu = hasattr(runtime, "GOMP_parallel") and not hasattr(runtime, "__kmpc_fork_call")
    return runtime if gnu and hasattr(runtime, "omp_pause_resource_all") else None
