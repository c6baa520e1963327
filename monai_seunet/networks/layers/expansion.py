"""Cache of filters that are expanded from a weight."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, Self, TypeVar

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from monai_seunet.networks.layers.recording import is_recorded

T = TypeVar("T")


class _Steps:
    """Number of steps of all optimisers, since fused ones change weights without a new version."""

    count = 0

    @classmethod
    def add(cls, *_: Any) -> None:
        cls.count += 1


register_optimizer_step_post_hook(_Steps.add)


class ExpansionCache(nn.Module, Generic[T]):
    """Cache of values that are computed from a weight; a submodule of the layer with the weight.

    Invariant: `get` returns the value of `expand`. It is computed on each call if the weight needs a gradient, and in a
    trace or an export.
    Limits: the version of the weight and the steps of optimisers show a change, but operations on `.data` and on NumPy
    views do not. Call `train()` or `eval()` after them, which clear the cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self._state: tuple[Any, ...] = ()
        self._values: dict[Hashable, T] = {}

    def get(self, weight: torch.Tensor, index: Hashable, expand: Callable[[Any], T]) -> T:
        """Return `expand(index)`, from the cache for this value of `weight`."""
        differentiable = weight.requires_grad and torch.is_grad_enabled()
        if differentiable or weight.is_inference() or torch.compiler.is_compiling() or is_recorded():
            return expand(index)
        # tensors from inference mode cannot be used outside of it
        mode = torch.is_inference_mode_enabled()
        state = (weight.data_ptr(), weight._version, weight.dtype, weight.device, mode, _Steps.count)
        if state != self._state:
            self._state, self._values = state, {}
        if index not in self._values:
            self._values[index] = expand(index)
        return self._values[index]

    def clear(self) -> None:
        """Clear the cache."""
        self._state, self._values = (), {}

    def train(self, mode: bool = True) -> Self:
        """Clear the cache when the layer changes its mode."""
        self.clear()
        return super().train(mode)

    def __deepcopy__(self, memo: dict[int, Any]) -> ExpansionCache[T]:
        """Return an empty cache for the copy of a layer."""
        return ExpansionCache().train(self.training)
