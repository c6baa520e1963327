"""Segment nuclei and tissue at any magnification and in any orientation, as MONAI components.

Importing the package makes its classes known to MONAI's configs by their short names, as in `"_target_": "SEUNet"`.
"""

from monai_seunet import (
    bundle_options,
    checkpoints,
    data,
    devices,
    errors,
    evaluation,
    flags,
    fusion,
    handlers,
    metrics,
    progress,
    tracking,
    transforms,
    writers,
)
from monai_seunet.inferers import ScaleSlidingWindowInferer
from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.networks import *  # noqa: F403 (the networks, by the names of their papers)
from monai_seunet.networks import nets

__version__ = "0.1.0"

__all__ = [
    *nets.__all__,
    "ScaleGroupLoss",
    "ScaleSlidingWindowInferer",
    "bundle_options",
    "checkpoints",
    "data",
    "devices",
    "errors",
    "evaluation",
    "flags",
    "fusion",
    "handlers",
    "metrics",
    "progress",
    "tracking",
    "transforms",
    "writers",
]
