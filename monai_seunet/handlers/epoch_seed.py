"""Random seeds that depend only on the seed of the run and the epoch."""

from __future__ import annotations

import numpy as np
from ignite.engine import Events
from monai.data.utils import set_rnd
from monai.engines import Workflow
from monai.utils import set_determinism
from torch.utils.data import DataLoader


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Return a 32-bit seed; neighbouring seeds, epochs and ranks give unrelated values.

    >>> epoch_seed(0, 1) == epoch_seed(0, 1), epoch_seed(0, 1) == epoch_seed(0, 2)
    (True, False)
    """
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


class EpochSeedHandler:
    """Handler that seeds Python, NumPy, torch and the random transforms at the start of every epoch.

    The order of the data and all random transforms then depend only on seed, epoch, rank and number of workers, so
    an epoch can be repeated without the former state of the generators.

    Args:
        seed: seed of the run.
        data_loader: data loader of the trainer, whose worker processes draw their seeds from torch's generator.

    Raises:
        ValueError: for a loader with persistent workers, which would keep their random state.
    """

    def __init__(self, seed: int, data_loader: DataLoader) -> None:
        if data_loader.persistent_workers:
            raise ValueError("persistent_workers keep their random state between epochs; set it to false")
        self.seed = seed
        self.data_loader = data_loader

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        """Seed all generators for the epoch that starts."""
        value = epoch_seed(self.seed, engine.state.epoch, engine.state.rank)
        set_determinism(seed=value)
        set_rnd(self.data_loader.dataset, value)
