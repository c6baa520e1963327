"""Export of trained networks for other programs."""

from monai_seunet.export.write import export_network
from monai_seunet.networks.unet.ordinary import OrdinaryNetwork

__all__ = ["OrdinaryNetwork", "export_network"]
