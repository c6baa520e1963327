"""Whether torch records the operations of a network, to export it."""

from __future__ import annotations

import torch


def is_recorded() -> bool:
    """Whether `torch.export` or `torch.jit.trace` is running: caches, native kernels and checks of sizes stay out."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()
