"""Trained networks for other programs."""

from monai_seunet.export.ordinary import OrdinaryNetwork
from monai_seunet.export.write import export_network

__all__ = ["OrdinaryNetwork", "export_network"]
