"""A running mean of the weights, which is what a training validates and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim.swa_utils import AveragedModel

from monai_seunet.utils.errors import InputError

WARMUP = 10  # steps


class WeightAverageHandler:
    """Keep the exponential running mean of a network's weights and buffers, updated after every step.

    Invariant: the first step copies the network, step n from 1 on moves the mean by max(momentum, 9 / (10 + n)) of its
    difference from the network. So a training of some steps keeps its last weights rather than its first, and with
    momentum 1 the mean is the network. The state holds n: a resumed training has the mean of one that was not
    interrupted.

    Attach it to the trainer. `averaged` is the network that holds the mean.

    Args:
        network: that is trained, on its device, not wrapped for distributed training.
        momentum: of one step in the long run; 1 / momentum steps count.

    Raises:
        InputError: for a momentum that is not above 0 and at most 1.
    """

    def __init__(self, network: nn.Module, momentum: float = 0.01) -> None:
        if not 0 < momentum <= 1:
            raise InputError(f"average_momentum is {momentum}; give a number above 0, at most 1 (no average)")
        self.network = network
        self.momentum = momentum
        self._mean = AveragedModel(network, avg_fn=self._moved, use_buffers=True)
        self.averaged: nn.Module = self._mean.module

    def attach(self, engine: Engine) -> None:
        """Follow the steps of a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, _: Engine) -> None:
        """Take a step."""
        self._mean.update_parameters(self.network)

    def state_dict(self) -> dict[str, Any]:
        """Return the mean and the number of its steps."""
        return self._mean.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> None:
        """Take over a mean."""
        self._mean.load_state_dict(state_dict)

    def _moved(self, mean: torch.Tensor, new: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
        if not mean.is_floating_point():
            return new
        return mean.lerp(new, max(self.momentum, (WARMUP - 1) / (WARMUP + int(steps))))
