"""Progress bars and log lines of a training."""

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

PAUSE = 60.0  # seconds between two log lines


class EngineProgressHandler(ProgressBar):
    """Progress bar for every epoch of a trainer, with its loss, or for every run of an evaluator.

    If standard error is not a terminal, it writes a log line every minute instead.

    Args:
        desc: text in front of the bar.
    """

    def __init__(self, desc: str) -> None:
        super().__init__(desc=desc, mininterval=1.0)
        self.desc = desc
        self._last_line = 0.0

    def attach(self, engine: Engine) -> None:  # type: ignore[override]
        """Attach the handler to a trainer or an evaluator."""
        if bars_are_shown():
            super().attach(engine, output_transform=_loss if isinstance(engine, Trainer) else None)
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._log)

    def _start(self, _: Engine) -> None:
        self._last_line = time.monotonic()

    def _log(self, engine: Engine) -> None:
        if time.monotonic() - self._last_line < PAUSE:
            return
        self._start(engine)
        state = engine.state
        epoch = f" epoch {state.epoch} of {state.max_epochs}," if isinstance(engine, Trainer) else ""
        done = (state.iteration - 1) % state.epoch_length + 1 if state.epoch_length else state.iteration
        engine.logger.info("%s:%s %s of %s steps", self.desc, epoch, done, state.epoch_length)


def _loss(output: Mapping[str, Any]) -> dict[str, Any]:
    return {CommonKeys.LOSS: output[CommonKeys.LOSS]}


class EpochStatsHandler(StatsHandler):
    """MONAI's `StatsHandler` for the metrics of every epoch; it logs no errors, because the interpreter shows them."""

    def __init__(self) -> None:
        super().__init__(iteration_log=False)

    def attach(self, engine: Engine) -> None:
        """Attach the handler to an engine."""
        self.logger = engine.logger
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.epoch_completed)
