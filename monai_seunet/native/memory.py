"""Memory that the kernels write to."""

from __future__ import annotations

import mmap
from contextlib import suppress

import torch


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
