"""Check that a network gives the directions that a config asks for."""

from __future__ import annotations

from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.errors import InputError


def check_directions(network: Network, wanted: bool) -> None:
    """Check that a network gives directions if and only if the config asks for them.

    Args:
        network: network of the config.
        wanted: id `directions` of the config.

    Raises:
        InputError: the two differ.
    """
    if network.directions != wanted:
        has = "gives" if network.directions else "gives no"
        raise InputError(
            f"directions is {str(wanted).lower()}, and {type(network).__name__} {has} directions; "
            "correct it, or choose another network (SEUNet, PyramidUNet, PlainUNet and RotoScaleUNet can give them)"
        )
