"""How large a network's filters are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def first_sigmas(network: nn.Module) -> list[float]:
    """Sigma of every scale group in the first layer, in pixels; empty for a network without, or a folded one."""
    sigmas: Callable[[], dict[str, torch.Tensor]] = getattr(network, "sigmas", dict)
    return next((values.tolist() for values in sigmas().values()), [])
