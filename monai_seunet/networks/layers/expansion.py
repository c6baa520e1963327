"""Filters that are expanded from a weight: once per value of the weight, not once per call."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, Self, TypeVar

import torch
from torch import nn

from monai_seunet.networks.layers.recording import is_recorded

T = TypeVar("T")


class ExpansionCache(nn.Module, Generic[T]):
    """What was computed from a weight, until the weight changes; a part of the layer that has the weight.

    Invariant: `get` gives what `expand` would give. Where a gradient flows to the weight, the result belongs to one
    graph and is computed anew; so it is while a program is traced or exported.
    Limits: a change is seen by the weight's version, which every operation in place counts except those on `.data`;
    after these call `train()` or `eval()`, which forget.
    """

    def __init__(self) -> None:
        super().__init__()
        self._state: tuple[Any, ...] = ()
        self._values: dict[Hashable, T] = {}

    def get(self, weight: torch.Tensor, index: Hashable, expand: Callable[[Any], T]) -> T:
        """Return `expand(index)`, remembered for this value of `weight`."""
        differentiable = weight.requires_grad and torch.is_grad_enabled()
        if differentiable or weight.is_inference() or torch.compiler.is_compiling() or is_recorded():
            return expand(index)
        # tensors made in inference mode cannot be used outside of it
        mode = torch.is_inference_mode_enabled()
        state = (weight.data_ptr(), weight._version, weight.dtype, weight.device, mode)
        if state != self._state:
            self._state, self._values = state, {}
        if index not in self._values:
            self._values[index] = expand(index)
        return self._values[index]

    def clear(self) -> None:
        """Forget everything."""
        self._state, self._values = (), {}

    def train(self, mode: bool = True) -> Self:
        """Forget everything, as the layer changes its mode."""
        self.clear()
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> ExpansionCache[T]:
        """A copy of a layer starts with nothing."""
        return ExpansionCache().train(self.training)
