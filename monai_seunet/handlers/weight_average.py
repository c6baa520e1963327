"""Running mean of the weights, which a training validates and saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim.swa_utils import AveragedModel

from monai_seunet.utils.errors import InputError

WARMUP = 10  # number of steps


class WeightAverageHandler:
    """Handler that updates an exponential running mean of a network's weights and buffers after every step.

    Invariant: the first step copies the network; step n >= 1 moves the mean towards the network by the factor
    max(momentum, 9 / (10 + n)). Short trainings therefore forget their first weights, and momentum 1 gives the network
    itself. The state contains n, so a resumed training has the mean of an uninterrupted training.

    Attach it to the trainer. The attribute `averaged` is the network with the mean weights.

    Args:
        network: trained network on its device, not wrapped for distributed training.
        momentum: weight of a new step after many steps, so about 1 / momentum steps count.

    Raises:
        InputError: for a momentum outside (0, 1].
    """

    def __init__(self, network: nn.Module, momentum: float = 0.01) -> None:
        if not 0 < momentum <= 1:
            raise InputError(f"average_momentum is {momentum}; give a number above 0 and at most 1; 1 means no average")
        self.network = network
        self.momentum = momentum
        self._mean = AveragedModel(network, avg_fn=self._update, use_buffers=True)
        self.averaged: nn.Module = self._mean.module

    def attach(self, engine: Engine) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, _: Engine) -> None:
        """Update the mean."""
        self._mean.update_parameters(self.network)

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and its number of steps."""
        return self._mean.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Restore a mean and its number of steps."""
        self._mean.load_state_dict(state_dict)

    def _update(self, mean: torch.Tensor, new: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
        if not mean.is_floating_point():
            return new
        return mean.lerp(new, max(self.momentum, (WARMUP - 1) / (WARMUP + int(steps))))
