"""Smallest training crop that holds the widest filter."""

from __future__ import annotations

import logging

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.unet.base import Network

logger = logging.getLogger(__name__)


def smallest_crop(network: Network) -> int:
    """Return the smallest side of a crop, in pixels, for which the widest filter fits on the coarsest map.

    On smaller crops, scale groups with a large sigma see a border at every pixel, and then fail in the interior of
    large images. Octaves share their filters, so it is enough that they fit on the finest octave. The result is 0 for a
    network without Gaussian-derivative filters.
    """
    convs = (conv for conv in network.scale_layers().values() if isinstance(conv, ScaleConv2d))
    radii = [max(conv.sigma.radii(conv.truncation)) for conv in convs]
    return (2 * max(radii) + 1) * network.level_stride if radii else 0


def warn_of_small_crops(network: Network, crop: int) -> None:
    """Log a warning if crops are smaller than `smallest_crop`."""
    needed = smallest_crop(network)
    if crop < needed:
        logger.warning(
            "crop_size %d is small for this network: the widest filter does not fit on its coarsest map, so scale "
            "groups with a large sigma learn the image border; use crops of at least %d pixels (with smaller batches), "
            "or fewer groups",
            crop,
            needed,
        )
