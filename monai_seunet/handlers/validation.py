"""Handler that validates a training."""

from __future__ import annotations

from ignite.engine import Engine, Events
from monai.handlers import ValidationHandler


class ClosingValidationHandler(ValidationHandler):
    """MONAI's `ValidationHandler` that always validates the last epoch, which is often the best.

    Args:
        interval: number of epochs from one validation to the next.
        validator: evaluator that validates.
    """

    def attach(self, engine: Engine) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._due), self)

    def _due(self, engine: Engine, epoch: int) -> bool:
        return epoch % self.interval == 0 or epoch == engine.state.max_epochs
