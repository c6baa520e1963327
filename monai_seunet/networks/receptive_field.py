"""Least size of crops for the receptive field of filters."""

from __future__ import annotations

import logging

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.unet.base import Network

logger = logging.getLogger(__name__)


def smallest_crop(network: Network) -> int:
    """Return the smallest crop in pixels whose coarsest map is as wide as the widest filter.

    On smaller crops, large scale groups see a border at every pixel, and fail inside of large images. Octaves share
    their filters, so that the finest octave counts. The result is 0 for a network without Gaussian-derivative filters.
    """
    convs = (conv for conv in network.scale_layers().values() if isinstance(conv, ScaleConv2d))
    radii = [max(conv.sigma.radii(conv.truncation)) for conv in convs]
    return (2 * max(radii) + 1) * network.level_stride if radii else 0


def warn_of_small_crops(network: Network, crop: int) -> None:
    """Log a warning if crops are smaller than `smallest_crop`."""
    least = smallest_crop(network)
    if crop < least:
        logger.warning(
            "crop_size %d is small for this network: the widest filter does not fit on its coarsest map, so that large "
            "scale groups learn where images end; take crops of %d pixels (and smaller batches), or fewer groups",
            crop,
            least,
        )
