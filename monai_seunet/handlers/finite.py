"""Handler that stops a training that has diverged."""

from __future__ import annotations

import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import CommonKeys

from monai_seunet.utils.errors import InputError


class FiniteLossHandler:
    """Handler that stops a training at the first loss that is not finite, before the state is saved.

    Attach it to the trainer. The checkpoint of the previous epoch stays.

    Raises:
        InputError: for a loss that is not finite; it names the epoch and the iteration.
    """

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Check the loss of an iteration."""
        loss = engine.state.output[CommonKeys.LOSS]
        if not bool(torch.isfinite(loss)):
            raise InputError(
                f"the loss is {float(loss)} in epoch {engine.state.epoch}, iteration {engine.state.iteration}: the "
                "training has diverged; start again with a lower max_lr, and check the images of this epoch"
            )
