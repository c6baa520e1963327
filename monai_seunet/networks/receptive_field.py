"""How far filters look beyond the border of a crop."""

from __future__ import annotations

import logging

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.unet.base import Network

logger = logging.getLogger(__name__)


def smallest_crop(network: Network) -> int:
    """The smallest crop, in pixels, on whose coarsest map the widest filter of every scale group fits.

    On smaller crops these filters look beyond a border everywhere. The large groups then learn how images end, and fail
    where images go on. Octaves share their filters, so that the finest of them counts.

    Args:
        network: any; 0 for one without Gaussian-derivative filters.
    """
    convs = (conv for conv in network.scale_layers().values() if isinstance(conv, ScaleConv2d))
    radii = [max(conv.sigma.radii(conv.truncation)) for conv in convs]
    return (2 * max(radii) + 1) * network.level_stride if radii else 0


def warn_of_small_crops(network: Network, crop: int) -> None:
    """Say so where crops are smaller than `smallest_crop`, before hours of training."""
    least = smallest_crop(network)
    if crop < least:
        logger.warning(
            "crop_size %d is small for this network: the widest filter does not fit on its coarsest map, so that large "
            "scale groups learn where images end; take crops of %d pixels (and smaller batches), or fewer groups",
            crop,
            least,
        )
