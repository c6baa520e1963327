"""Check whether torch records the operations of a network for an export."""

from __future__ import annotations

import torch


def is_recorded() -> bool:
    """Return whether `torch.export` or `torch.jit.trace` runs, without caches, native kernels and checks of sizes."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()
