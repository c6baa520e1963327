"""The threads of the kernels, beside those of torch.

After each of its own calculations torch's threads wait for the next one in a loop, for some ten milliseconds, and
take the processors that the kernels want meanwhile.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from torch.autograd import forward_ad
from torch.utils import _python_dispatch

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


def is_plain(x: torch.Tensor) -> bool:
    """Whether a tensor is one that the kernels read, in a moment at which nobody else looks at what torch does."""
    return x.dtype == torch.float32 and not is_watched() and is_readable(x) and not torch.is_autocast_enabled("cpu")


def is_readable(x: torch.Tensor) -> bool:
    """Whether a tensor is nothing but values in the memory of the processor."""
    return (
        type(x) is torch.Tensor
        and x.device.type == "cpu"
        and x.numel() > 0
        and not x.is_neg()  # its values lie there with the other sign
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
        and forward_ad.unpack_dual(x).tangent is None
    )


def is_watched() -> bool:
    """Whether somebody traces, converts or counts what torch does."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_compiling()
        or torch.compiler.is_exporting()
        or _python_dispatch._get_current_dispatch_mode() is not None
    )


def floats(*shape: int) -> torch.Tensor:
    """Memory for results, whatever the defaults of torch are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def workspace(size: int) -> torch.Tensor:
    """Memory for what lies between an image and the result, (size,), at first 0.

    The system is asked for large pages, since the kernels walk through all of it at once: small ones cost a training
    step a twentieth of its time. Memory that was in use before, as that of torch may be, cannot get them.
    """
    try:
        memory = mmap.mmap(-1, 4 * max(size, 1), **_OWN)
    except OSError as error:  # as torch says it
        raise RuntimeError(f"the native kernels need {size / 2**18:.0f} MiB of memory: {error}") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a system without them
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.float32)


# else a process that is forked would write to the same memory
_OWN: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
