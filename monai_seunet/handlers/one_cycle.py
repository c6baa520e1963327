"""1cycle learning rate schedule over a number of epochs or a time budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from monai_seunet.utils.errors import InputError

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.monotonic, "processor": time.process_time}


class OneCycleHandler:
    """Handler that steps the 1cycle schedule after every iteration and ends the training with the cycle.

    The cycle has `epochs * epoch_length` steps. With `max_minutes` the position in the cycle is the larger of the
    fraction of finished steps and the fraction of used time, so a training that runs out of time still completes
    the cycle. Validation and the time before a resumption count as used time.

    Invariant: the position never decreases, and it increases by one step per iteration without a time budget.
    Limits: with a time budget the schedule depends on the clock, so two runs are not equal bit by bit.

    Attach it to the trainer. The last epoch may be shorter; it is validated and saved like the others.

    Args:
        optimizer: optimiser whose learning rate and first beta are set.
        max_lr: peak of the learning rate, reached after 30 % of the cycle.
        epochs: number of epochs of the whole training.
        epoch_length: number of iterations in an epoch.
        max_minutes: time budget in minutes, or None for no budget.
        clock: clock of the budget: `wall` for elapsed time, `processor` for the CPU time of all threads of this process
            (without the time of a GPU), or a function that returns seconds.

    Raises:
        InputError: for a budget that is not positive, or an unknown clock.

    References:
        Smith and Topin, Super-convergence: very fast training of neural networks using large learning rates, 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        epochs: int,
        epoch_length: int,
        max_minutes: float | None = None,
        clock: str | Callable[[], float] = "wall",
    ) -> None:
        if max_minutes is not None and max_minutes <= 0:
            raise InputError(f"max_minutes is {max_minutes}; give a positive number of minutes, or null for no budget")
        if isinstance(clock, str) and clock not in CLOCKS:
            raise InputError(f"budget_clock is {clock!r}; give one of {', '.join(CLOCKS)}")
        self.scheduler = OneCycleLR(optimizer, max_lr=max_lr, total_steps=epochs * epoch_length)
        self.budget = None if max_minutes is None else 60.0 * max_minutes
        self.position = 0
        self.elapsed = 0.0
        self._clock = CLOCKS[clock] if isinstance(clock, str) else clock
        self._last_tick = self._clock()

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.step)

    def start(self, engine: Workflow) -> None:
        """Start the clock; end a resumed run whose cycle is complete."""
        self._last_tick = self._clock()
        if self.position >= self.scheduler.total_steps:
            engine.logger.warning("the resumed training is complete already; nothing is left to do")
            engine.terminate()

    def step(self, engine: Workflow) -> None:
        """Move to the next position in the cycle."""
        now = self._clock()
        self.elapsed += now - self._last_tick
        self._last_tick = now
        self.position = max(self.position + 1, self._position_by_time())
        if self.position >= self.scheduler.total_steps:
            self.position = self.scheduler.total_steps
            engine.state.max_epochs = engine.state.epoch
            if engine.state.iteration % engine.state.epoch_length:
                engine.terminate_epoch()
            return
        self.scheduler.last_epoch = self.position - 1
        self.scheduler.step()

    def _position_by_time(self) -> int:
        if self.budget is None:
            return 0
        # One process decides for all, because all must leave the epoch together.
        used = float(idist.broadcast(self.elapsed)) / self.budget  # type: ignore[arg-type]
        return math.floor(min(used, 1.0) * self.scheduler.total_steps)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, the used time and the state of the scheduler."""
        return {"position": self.position, "elapsed": self.elapsed, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a position, its used time and the state of the scheduler."""
        self.position = state_dict["position"]
        self.elapsed = state_dict["elapsed"]
        self.scheduler.load_state_dict(state_dict["scheduler"])
