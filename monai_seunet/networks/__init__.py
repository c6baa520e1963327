"""Networks and their layers."""

from monai_seunet.networks import nets
from monai_seunet.networks.check_directions import check_directions
from monai_seunet.networks.checkpoints import gives_directions, load_weights
from monai_seunet.networks.nets import *  # noqa: F403 (all architectures are public)
from monai_seunet.networks.patch_map import PatchMap
from monai_seunet.networks.receptive_field import smallest_crop, warn_of_small_crops

__all__ = [
    *nets.__all__,
    "PatchMap",
    "check_directions",
    "gives_directions",
    "load_weights",
    "smallest_crop",
    "warn_of_small_crops",
]
