"""Handler that collects sigma, losses and loss weights of the scale groups."""

from __future__ import annotations

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import nn

from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.networks.unet.base import Network


def scale_state(network: Network, loss: nn.Module) -> dict[str, float]:
    """Return sigma by layer and group, in pixels of the layer's level, and the loss weight of every group.

    Group numbers begin at 1, as in the papers. A network without scale groups has no sigma, and only `ScaleGroupLoss`
    has weights.
    """
    weights = loss.weights().tolist() if isinstance(loss, ScaleGroupLoss) else []
    state = {f"eta/group{k}": weight for k, weight in enumerate(weights, start=1)}
    for layer, values in network.sigmas().items():
        state |= {f"sigma/{layer}/group{k}": sigma for k, sigma in enumerate(values.tolist(), start=1)}
    return state


class ScaleStateHandler:
    """Handler that stores `scale_state` in `engine.state.scale_state` before the first and after every epoch.

    After an epoch the state also has the mean loss of every group, `loss/group*`, if the loss is a `ScaleGroupLoss`.
    Attach this handler before `RunTrackingHandler`, which logs the state.

    Args:
        network: network, not wrapped for distributed training.
        loss: loss, not wrapped for distributed training.
    """

    def __init__(self, network: Network, loss: nn.Module) -> None:
        self.network = network
        self.loss = loss
        self._losses: list[torch.Tensor] = []

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.STARTED, self)
        if isinstance(self.loss, ScaleGroupLoss):
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._remember, self.loss)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Store the current values."""
        engine.state.scale_state = scale_state(self.network, self.loss)
        if self._losses:
            means = torch.stack(self._losses).mean(0).tolist()
            engine.state.scale_state |= {f"loss/group{k}": mean for k, mean in enumerate(means, start=1)}
            self._losses.clear()

    def _remember(self, loss: ScaleGroupLoss) -> None:
        self._losses.append(loss.latest)
