"""Options of a network that shape no weight and still have to be the same when weights are loaded."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from monai_seunet.utils.errors import InputError


class KeepsOptions(nn.Module):
    """Keep the attribute `options`, a dictionary, with the weights, and refuse weights trained with other options."""

    @torch.jit.unused
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = vars(self)["options"]  # not annotated in the class, where TorchScript would read it
        return options

    @torch.jit.unused
    def get_extra_state(self) -> torch.Tensor:
        """The options that shape no weight, for the checkpoint: JSON as bytes, which any loader of tensors takes."""
        return torch.tensor(list(json.dumps(self._options()).encode()), dtype=torch.uint8)

    @torch.jit.unused
    def set_extra_state(self, state: torch.Tensor) -> None:
        """Refuse the weights of a network that was trained with other options.

        Raises:
            InputError: naming the first option that differs.
        """
        theirs = json.loads(bytes(state.tolist()))
        for name, value in self._options().items():
            if theirs.get(name) != value:
                raise InputError(f"it was trained with {name} {theirs.get(name)!r}, this network has {value!r}")
