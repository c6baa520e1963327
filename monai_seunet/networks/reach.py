"""How far filters look beyond the border of a crop."""

from __future__ import annotations

import logging
from collections.abc import Callable

from torch import nn

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.scale_groups import ScaleGroupConv

logger = logging.getLogger(__name__)


def smallest_crop(network: nn.Module) -> int:
    """The smallest crop, in pixels, on whose coarsest map the widest filter of every scale group fits.

    On smaller crops these filters look beyond a border everywhere. The large groups then learn how images end, and fail
    where images go on. Octaves share their filters, so that the finest of them counts.

    Args:
        network: any; 0 for one without Gaussian-derivative filters.
    """
    layers: Callable[[], dict[str, ScaleGroupConv]] = getattr(network, "scale_layers", dict)
    radii = [max(conv.sigma.radii(conv.truncation)) for conv in layers().values() if isinstance(conv, ScaleConv2d)]
    return (2 * max(radii) + 1) * int(network.level_stride) if radii else 0  # type: ignore[arg-type]


def warn_of_small_crops(network: nn.Module, crop: int) -> None:
    """Say so where crops are smaller than `smallest_crop`, before hours of training."""
    least = smallest_crop(network)
    if crop < least:
        logger.warning(
            "crop_size %d is small for this network: the widest filter does not fit on its coarsest map, so that large "
            "scale groups learn where images end; take crops of %d pixels (and smaller batches), or fewer groups",
            crop,
            least,
        )
