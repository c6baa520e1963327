"""The 1cycle schedule, planned on a number of epochs or on a time budget."""

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
    """Step the 1cycle schedule after every iteration, and end the training where the cycle ends.

    The cycle has `epochs * epoch_length` steps. With `max_minutes` the position in the cycle is the larger of the
    fraction of steps done and the fraction of time used, so that a training that runs out of time has still gone
    through the whole cycle; validation counts as time used, and so does the time before a resumed run was stopped.

    Invariant: positions never fall, and one step is taken per iteration where no time budget is set. With a budget the
    schedule follows the clock, hence two runs are not equal bit by bit.

    Attach it to the trainer. The epoch in which the cycle ends is cut short; it is validated and saved as every other.

    Args:
        optimizer: whose learning rate (and first beta) is set.
        max_lr: peak of the learning rate, reached after 30 % of the cycle.
        epochs: of the whole training.
        epoch_length: iterations in an epoch.
        max_minutes: time budget in minutes; None for none.
        clock: what the budget counts: `wall`, the time that passes, or `processor`, the seconds that the processor
            spends on this process, its threads added; other work on the machine then takes nothing from the budget.
            `processor` is for a CPU: it does not see the time of a GPU. Or a function that returns seconds.

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
        """Follow the iterations of a trainer."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.step)

    def start(self, engine: Workflow) -> None:
        """Start the clock; end at once where the whole cycle is behind a resumed run."""
        self._last_tick = self._clock()
        if self.position >= self.scheduler.total_steps:
            engine.logger.warning("the training that is resumed was complete; nothing is left to do")
            engine.terminate()

    def step(self, engine: Workflow) -> None:
        """Move on in the cycle."""
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
        # One process decides for all: they must leave the epoch together.
        used = float(idist.broadcast(self.elapsed)) / self.budget  # type: ignore[arg-type]
        return math.floor(min(used, 1.0) * self.scheduler.total_steps)

    def state_dict(self) -> dict[str, Any]:
        """Position, time used and the scheduler's own state."""
        return {"position": self.position, "elapsed": self.elapsed, "scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a former position."""
        self.position = state_dict["position"]
        self.elapsed = state_dict["elapsed"]
        self.scheduler.load_state_dict(state_dict["scheduler"])
