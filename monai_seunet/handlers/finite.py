"""Stop a training that has diverged."""

from __future__ import annotations

import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import CommonKeys

from monai_seunet.utils.errors import InputError


class FiniteLossHandler:
    """End a training at the first loss that is no number, before its state is saved.

    Attach it to the trainer. The last checkpoint is that of the epoch before.

    Raises:
        InputError: naming the epoch and the iteration.
    """

    def attach(self, engine: Workflow) -> None:
        """Follow the iterations of a trainer."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Look at the loss."""
        loss = engine.state.output[CommonKeys.LOSS]
        if not bool(torch.isfinite(loss)):
            raise InputError(
                f"the loss is {float(loss)} in epoch {engine.state.epoch}, iteration {engine.state.iteration}: the "
                "training has diverged; start again with a lower max_lr, and look at the images of this epoch"
            )
