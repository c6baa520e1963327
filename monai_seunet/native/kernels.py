"""What the rest of the package calls of the native library: fusion, stains, threads, memory.

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

from monai_seunet.native import library as native
from monai_seunet.native.library import library

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
        or torch.compiler.is_exporting()
        or torch.compiler.is_compiling()
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


STRATEGIES = ("arithmetic", "p_dist", "p_ens", "p_max", "p_power", "p_conf")  # in the order of `src/image_ops/fusion.h`
PART = 16384  # pixels of a task, as in `src/image_ops/fusion.h`


def native_fuse(
    probabilities: torch.Tensor, strategy: str, weights: torch.Tensor | None, winner: bool = False
) -> torch.Tensor | None:
    """As `fusion.fuse`, or as `fusion.winning_scale`; None where torch has to compute it.

    Args:
        probabilities: (B, S, N, ...)
        strategy: of the fusion.
        weights: (B, S, ...), see `fusion.fuse`.
        winner: the group that decides in place of the fused probabilities.
    """
    inputs = [probabilities] if weights is None else [probabilities, weights]
    if strategy not in STRATEGIES or not all(is_plain(x) and not _learns(x) for x in inputs):
        return None
    kernels = library()
    if kernels is None or probabilities.dim() < 3 or probabilities.shape[2] < 2:
        return None
    if weights is not None and weights.shape != probabilities[:, :, 0].shape:
        return None
    batch, groups, classes, *size = probabilities.shape
    probabilities = probabilities.contiguous()
    weights = None if weights is None else weights.contiguous()
    shape, dtype = ((batch, 1, *size), torch.int64) if winner else ((batch, classes, *size), torch.float32)
    found = torch.empty(shape, dtype=dtype, device="cpu")
    pixels = probabilities[0, 0, 0].numel()
    kernels.seunet_fuse(
        probabilities.data_ptr(),
        None if weights is None else weights.data_ptr(),
        batch,
        groups,
        classes,
        pixels,
        STRATEGIES.index(strategy),
        None if winner else found.data_ptr(),
        found.data_ptr() if winner else None,
        kernel_threads(tasks=batch * (pixels // PART + 1)),
    )
    return found


def native_confidence(background: torch.Tensor, nearby: int, prior: float, share: float) -> torch.Tensor | None:
    """As `fusion.confidence_nearby` of the background (B, S, H, W); None where torch has to compute it."""
    if background.dim() != 4 or not is_plain(background):
        return None
    kernels = library()
    if kernels is None:
        return None
    background = background.contiguous()
    height, width = background.shape[2:]
    maps = background.shape[0] * background.shape[1]
    threads = kernel_threads(tasks=maps)
    found = torch.empty_like(background)
    scratch = torch.empty(min(threads, maps), 4, width + 1, dtype=torch.float64, device="cpu")
    unknown = share * (2 * nearby + 1) ** 2
    sizes = (maps, height, width, min(nearby, max(height, width)))
    kernels.seunet_confidence(
        background.data_ptr(), *sizes, prior, unknown, found.data_ptr(), scratch.data_ptr(), threads
    )
    return found


def _learns(x: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and x.requires_grad


PART = 65536  # pixels of a task, as in `src/image_ops/stain_transfer.h`


def native_image(rgb: torch.Tensor) -> bool:
    """Whether the kernels read an image (3, ...)."""
    if is_watched() or rgb.dtype != torch.uint8 or not is_readable(rgb):
        return False
    return rgb.dim() > 1 and rgb.shape[0] == 3 and native.library() is not None


def native_transfer(
    rgb: torch.Tensor,
    levels: torch.Tensor,
    source: torch.Tensor,
    free: torch.Tensor,
    norms: torch.Tensor,
    mixing: torch.Tensor,
    overlap: float,
    penalty: float,
) -> torch.Tensor | None:
    """As `transfer_stains` of an image that `native_image` accepts; None where torch has to compute it.

    Args:
        rgb: (3, ...), uint8.
        levels: (256,) optical density of each value.
        source: (2, 3) stains of the image.
        free: (2, 2) map from the projections to the free minima, swapped.
        norms: of the stains, squared.
        mixing: (3, 2) map from the amounts of the stains to the densities of the result.
        overlap: inner product of the stains.
        penalty: see `concentrations`.
    """
    kernels = native.library()
    if kernels is None or float(norms.prod() - overlap**2) < 1e-6 * float(norms.prod()):  # parallel but for rounding
        return None
    stains = native.Stains(overlap=overlap, penalty=penalty)
    tables = {"density": levels, "matrix": source, "free": free, "norm": norms, "mixing": mixing}
    for name, values in tables.items():
        array = getattr(stains, name)
        array[:] = values.flatten().tolist()
    pixels = rgb.reshape(3, -1)  # no copy of an image whose channels lie beside each other
    image = native.Pixels(pixels.data_ptr(), *pixels.stride(), pixels.shape[1])
    found = torch.empty(rgb.shape, dtype=torch.uint8, device="cpu")
    threads = kernel_threads(tasks=pixels.shape[1] // PART + 1)
    kernels.seunet_transfer_stains(ctypes.byref(stains), ctypes.byref(image), found.data_ptr(), threads)
    return found
