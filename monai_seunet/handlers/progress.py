"""What a training shows while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.engines import Trainer
from monai.handlers import StatsHandler
from monai.utils import CommonKeys


class EngineProgressHandler(ProgressBar):
    """A bar for every epoch of a trainer, with its loss, or for every run of an evaluator.

    Args:
        desc: what is shown in front of the bar.
    """

    def __init__(self, desc: str) -> None:
        super().__init__(desc=desc, mininterval=1.0)

    def attach(self, engine: Engine) -> None:  # type: ignore[override]
        """Follow the iterations of an engine."""
        super().attach(engine, output_transform=_loss if isinstance(engine, Trainer) else None)


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
