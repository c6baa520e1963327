"""What a training shows while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.engines import Trainer
from monai.handlers import StatsHandler
from monai.utils import CommonKeys

from monai_seunet.utils.progress import bars_are_shown

PAUSE = 60.0  # seconds between two lines of a log


class EngineProgressHandler(ProgressBar):
    """A bar on a terminal for every epoch of a trainer, with its loss, or for every run of an evaluator.

    Where standard error is no terminal, a line in the log of the engine once a minute.

    Args:
        desc: what is shown in front.
    """

    def __init__(self, desc: str) -> None:
        super().__init__(desc=desc, mininterval=1.0)
        self.desc = desc
        self._said = 0.0

    def attach(self, engine: Engine) -> None:  # type: ignore[override]
        """Follow the iterations of an engine."""
        if bars_are_shown():
            super().attach(engine, output_transform=_loss if isinstance(engine, Trainer) else None)
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._say)

    def _start(self, _: Engine) -> None:
        self._said = time.monotonic()

    def _say(self, engine: Engine) -> None:
        if time.monotonic() - self._said < PAUSE:
            return
        self._start(engine)
        state = engine.state
        epoch = f" epoch {state.epoch} of {state.max_epochs}," if isinstance(engine, Trainer) else ""
        done = (state.iteration - 1) % state.epoch_length + 1 if state.epoch_length else state.iteration
        engine.logger.info("%s:%s %s of %s steps", self.desc, epoch, done, state.epoch_length)


def _loss(output: Mapping[str, Any]) -> dict[str, Any]:
    return {CommonKeys.LOSS: output[CommonKeys.LOSS]}


class EpochStatsHandler(StatsHandler):
    """MONAI's `StatsHandler` for the metrics of every epoch, which leaves errors to the interpreter: shown once."""

    def __init__(self) -> None:
        super().__init__(iteration_log=False)

    def attach(self, engine: Engine) -> None:
        """Follow the epochs of an engine."""
        self.logger = engine.logger
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_completed)
