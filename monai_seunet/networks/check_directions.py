"""Whether a network gives the directions that a config asks for."""

from __future__ import annotations

from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.errors import InputError


def check_directions(network: Network, wanted: bool) -> None:
    """Refuse a network without the directions that are wanted, or with some that are not.

    Args:
        network: that the config made.
        wanted: the id `directions` of the config.

    Raises:
        InputError: where the two differ.
    """
    given = network.directions
    if given != wanted:
        has = "gives" if given else "gives no"
        raise InputError(
            f"directions is {str(wanted).lower()}, and {type(network).__name__} {has} directions; "
            "correct it, or choose another network (SEUNet, PyramidUNet, PlainUNet and RotoScaleUNet can give them)"
        )
