"""Which tensors the native kernels read."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad
from torch.utils import _python_dispatch


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
