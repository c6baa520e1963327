"""Ignite handlers of a training: checkpoints, learning rate schedule, seeds, validation and progress."""

from monai_seunet.handlers.checkpoint import BestWeightsHandler, TrainingStateHandler
from monai_seunet.handlers.epoch_seed import EpochSeedHandler
from monai_seunet.handlers.finite import FiniteLossHandler
from monai_seunet.handlers.one_cycle import OneCycleHandler
from monai_seunet.handlers.progress import EngineProgressHandler, EpochStatsHandler
from monai_seunet.handlers.scales import ScaleStateHandler, scale_state
from monai_seunet.handlers.validation import ClosingValidationHandler
from monai_seunet.handlers.weight_average import WeightAverageHandler

__all__ = [
    "BestWeightsHandler",
    "ClosingValidationHandler",
    "EngineProgressHandler",
    "EpochSeedHandler",
    "EpochStatsHandler",
    "FiniteLossHandler",
    "OneCycleHandler",
    "ScaleStateHandler",
    "TrainingStateHandler",
    "WeightAverageHandler",
    "scale_state",
]
