"""All randomness of an epoch as a function of seed and epoch."""

from __future__ import annotations

import numpy as np
from ignite.engine import Events
from monai.data.utils import set_rnd
from monai.engines import Workflow
from monai.utils import set_determinism
from torch.utils.data import DataLoader


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """A 32-bit seed that is unrelated for neighbouring seeds, epochs and ranks."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])


class EpochSeedHandler:
    """Seed python, numpy, torch and the random transforms anew at the start of every epoch.

    The order of the data and every random transform then depend on seed, epoch, rank and the number of workers alone,
    and not on what ran before: an epoch can be repeated without knowing the state that the generators had.

    Args:
        seed: of the run.
        data_loader: the loader of the trainer. Worker processes draw their seed from torch's generator; `persistent`
            workers would keep their state and are refused.

    Raises:
        ValueError: for a loader with persistent workers.
    """

    def __init__(self, seed: int, data_loader: DataLoader) -> None:
        if data_loader.persistent_workers:
            raise ValueError("persistent_workers keep their random state between epochs; set it to false")
        self.seed = seed
        self.data_loader = data_loader

    def attach(self, engine: Workflow) -> None:
        """Seed at the start of every epoch of a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Workflow) -> None:
        """Seed for the epoch that starts."""
        value = epoch_seed(self.seed, engine.state.epoch, engine.state.rank)
        set_determinism(seed=value)
        set_rnd(self.data_loader.dataset, value)
