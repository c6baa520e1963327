"""What is computed from weights, kept until they change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch

T = TypeVar("T")


class UpdateCache(Generic[T]):
    """Compute once per update of a weight; while gradients are recorded, every time.

    An update in place (an optimiser, `load_state_dict`) and a move to another place or dtype are noticed.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._value: T | None = None

    def get(self, weight: torch.Tensor, compute: Callable[[], T]) -> T:
        """Return what `compute` makes of the weight."""
        if (torch.is_grad_enabled() and weight.requires_grad) or weight.is_inference() or torch.compiler.is_exporting():
            return compute()
        key = (weight.data_ptr(), weight._version, weight.dtype, weight.device)
        if self._value is None or key != self._key:
            with torch.no_grad():
                self._value, self._key = compute(), key
        return self._value

    def __deepcopy__(self, memo: dict[int, object]) -> UpdateCache[T]:
        return UpdateCache()

    def __getstate__(self) -> dict[str, object]:
        return {"_key": None, "_value": None}
