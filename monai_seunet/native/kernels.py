"""Functions of the native library for the rest of the package: fusion, stains, threads and memory.

After a calculation, torch's threads wait in a loop for about ten milliseconds and occupy the processors that the
kernels need. They are therefore ended before kernels run.
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
from monai_seunet.native.strategies import STRATEGIES

_SOFT = 1  # `omp_pause_soft` of OpenMP 5.0: threads end, settings stay, and threads start again when needed
_PROCESS = os.getpid()  # a forked process has no such threads, and ending them would never return


def kernel_threads(tasks: int | None = None) -> int:
    """Return the number of threads for so many tasks of the kernels, at most torch's number of threads."""
    threads = torch.get_num_threads()
    threads = threads if tasks is None else max(1, min(threads, tasks))
    end_waiting_threads(threads)
    return threads


def end_waiting_threads(threads: int) -> None:
    """End torch's waiting threads if kernels use more than one thread."""
    runtime = _openmp() if threads > 1 and os.getpid() == _PROCESS else None
    if runtime is not None:
        runtime.omp_pause_resource_all(_SOFT)  # has no effect within a calculation of torch


@cache
def _openmp() -> ctypes.CDLL | None:
    """Return torch's OpenMP library if it is GNU's, whose threads can be ended, or None."""
    suffix = "dylib" if platform.system() == "Darwin" else "so"
    path = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
    if not hasattr(os, "RTLD_NOLOAD"):
        return None
    try:
        runtime = ctypes.CDLL(str(path), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)  # gives the library that torch uses
    except OSError:
        return None
    gnu = hasattr(runtime, "GOMP_parallel") and not hasattr(runtime, "__kmpc_fork_call")
    return runtime if gnu and hasattr(runtime, "omp_pause_resource_all") else None


def is_plain(x: torch.Tensor) -> bool:
    """Return whether the kernels can read a float32 tensor, while torch is not traced and uses no autocast."""
    return x.dtype == torch.float32 and not is_watched() and is_readable(x) and not torch.is_autocast_enabled("cpu")


def is_readable(x: torch.Tensor) -> bool:
    """Return whether a tensor is a plain array in CPU memory."""
    return (
        type(x) is torch.Tensor
        and x.device.type == "cpu"
        and x.numel() > 0
        and not x.is_neg()  # the memory of such a tensor holds values of the opposite sign
        and not torch._C._functorch.is_functorch_wrapped_tensor(x)
        and forward_ad.unpack_dual(x).tangent is None
    )


def is_watched() -> bool:
    """Return whether torch's operations are traced, compiled, exported or counted."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_exporting()
        or torch.compiler.is_compiling()
        or _python_dispatch._get_current_dispatch_mode() is not None
    )


def floats(*shape: int) -> torch.Tensor:
    """Return float32 memory on the CPU for results, whatever torch's defaults are."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def workspace(size: int) -> torch.Tensor:
    """Return memory (size,) of float32 zeros for intermediate results.

    It uses large pages, because small pages take a twentieth of a training step. Memory that was used before, such as
    torch's, cannot get large pages.
    """
    try:
        memory = mmap.mmap(-1, 4 * max(size, 1), **_PRIVATE)
    except OSError as error:  # torch raises the same type
        raise RuntimeError(f"the native kernels need {size / 2**18:.0f} MiB of memory: {error}") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # the system may have no large pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.float32)


# A forked process must not write to the same memory.
_PRIVATE: dict[str, int] = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


FUSION_PART = 16384  # pixels of a task, as in `src/image_ops/fusion.h`


def native_fuse(
    probabilities: torch.Tensor, strategy: str, weights: torch.Tensor | None, winner: bool = False
) -> torch.Tensor | None:
    """Compute `fusion.fuse`, or `fusion.winning_scale` for `winner`; None means that torch has to compute it."""
    given = [probabilities] if weights is None else [probabilities, weights]
    if strategy not in STRATEGIES or not all(map(is_plain, given)):
        return None
    if torch.is_grad_enabled() and any(x.requires_grad for x in given):
        return None
    kernels = native.library()
    if kernels is None or probabilities.dim() < 3 or probabilities.shape[2] < 2:
        return None
    if weights is not None and weights.shape != probabilities[:, :, 0].shape:
        return None
    batch, groups, classes, *size = probabilities.shape
    probabilities = probabilities.contiguous()
    weights = None if weights is None else weights.contiguous()
    shape, dtype = ((batch, 1, *size), torch.int64) if winner else ((batch, classes, *size), torch.float32)
    result = torch.empty(shape, dtype=dtype, device="cpu")
    pixels = probabilities[0, 0, 0].numel()
    inputs = (probabilities.data_ptr(), None if weights is None else weights.data_ptr())
    outputs = (None, result.data_ptr()) if winner else (result.data_ptr(), None)
    threads = kernel_threads(tasks=batch * (pixels // FUSION_PART + 1))
    kernels.seunet_fuse(*inputs, batch, groups, classes, pixels, STRATEGIES.index(strategy), *outputs, threads)
    return result


def native_confidence(background: torch.Tensor, nearby: int, prior: float, share: float) -> torch.Tensor | None:
    """Compute `fusion.confidence_nearby` from the background (B, S, H, W); None means that torch has to compute it."""
    if background.dim() != 4 or not is_plain(background):
        return None
    kernels = native.library()
    if kernels is None:
        return None
    background = background.contiguous()
    height, width = background.shape[2:]
    maps = background.shape[0] * background.shape[1]
    threads = kernel_threads(tasks=maps)
    result = torch.empty_like(background)
    scratch = torch.empty(min(threads, maps), 4, width + 1, dtype=torch.float64, device="cpu")
    unknown = share * (2 * nearby + 1) ** 2
    sizes = (maps, height, width, min(nearby, max(height, width)))
    kernels.seunet_confidence(
        background.data_ptr(), *sizes, prior, unknown, result.data_ptr(), scratch.data_ptr(), threads
    )
    return result


STAIN_PART = 65536  # pixels of a task, as in `src/image_ops/stain_transfer.h`


def native_image(rgb: torch.Tensor) -> bool:
    """Return whether the kernels can read an image (3, ...)."""
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
    """Compute `transfer_stains` for an image that `native_image` accepts; None means that torch has to compute it.

    Args:
        rgb: image (3, ...), uint8.
        levels: optical densities (256,) of the values.
        source: stains (2, 3) of the image.
        free: matrix (2, 2) from the projections to the unconstrained minima, in swapped order.
        norms: squared norms (2,) of the stains.
        mixing: matrix (3, 2) from the amounts of the stains to the densities of the result.
        overlap: inner product of the stains.
        penalty: weight of the sparsity penalty, see `concentrations`.
    """
    kernels = native.library()
    if kernels is None or float(norms.prod() - overlap**2) < 1e-6 * float(norms.prod()):  # the stains are parallel
        return None
    stains = native.Stains(overlap=overlap, penalty=penalty)
    tables = {"density": levels, "matrix": source, "free": free, "norm": norms, "mixing": mixing}
    for name, values in tables.items():
        getattr(stains, name)[:] = values.flatten().tolist()
    pixels = rgb.reshape(3, -1)  # does not copy an image whose channels are contiguous
    image = native.Pixels(pixels.data_ptr(), *pixels.stride(), pixels.shape[1])
    result = torch.empty(rgb.shape, dtype=torch.uint8, device="cpu")
    threads = kernel_threads(tasks=pixels.shape[1] // STAIN_PART + 1)
    kernels.seunet_transfer_stains(ctypes.byref(stains), ctypes.byref(image), result.data_ptr(), threads)
    return result
