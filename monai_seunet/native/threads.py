"""The threads of the kernels, beside those of torch.

After each of its own calculations torch's threads wait for the next one in a loop, for some ten milliseconds, and
take the processors that the kernels want meanwhile.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import torch

_SOFT = (
    1  # `omp_pause_soft` of OpenMP 5.0: the settings stay, the threads end and are started again when they are needed
)


def kernel_threads(threads: int | None = None) -> int:
    """Threads for the next call of kernels, by default as many as torch may use; those of torch that wait end now."""
    threads = torch.get_num_threads() if threads is None else threads
    runtime = _openmp() if threads > 1 else None
    if runtime is not None:
        runtime.omp_pause_resource_all(_SOFT)  # refused, without harm, within a calculation of torch
    return threads


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library that torch brings and has loaded, or None."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*")):
        try:
            runtime = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        except OSError:  # it is not loaded
            continue
        if hasattr(runtime, "omp_pause_resource_all"):
            return runtime
    return None
