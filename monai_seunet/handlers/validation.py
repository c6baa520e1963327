"""When a training is validated."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.handlers import ValidationHandler


class ClosingValidationHandler(ValidationHandler):
    """MONAI's `ValidationHandler`, which validates the last epoch, too, whatever the interval.

    The learning rate is lowest there, so that the last epoch is often the best.

    Args:
        interval: validate every so many epochs.
        validator: the evaluator.
    """

    def attach(self, engine: Engine) -> None:
        """Follow the epochs of a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._due), self)

    def _due(self, engine: Engine, epoch: int) -> bool:
        return epoch % self.interval == 0 or epoch == engine.state.max_epochs
