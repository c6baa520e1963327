"""Which tensors the native kernels read."""

from __future__ import annotations

import torch


def is_plain(x: torch.Tensor) -> bool:
    """Whether a tensor is one that the kernels read, in a moment at which nobody traces or converts."""
    return (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and type(x) is torch.Tensor
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.jit.is_tracing()
        and not torch.compiler.is_compiling()
        and not torch.compiler.is_exporting()
    )
