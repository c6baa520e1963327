"""Architectures, one a file."""

from monai_seunet.networks.nets.plain_unet import PlainUNet
from monai_seunet.networks.nets.seunet import SEUNet

__all__ = ["PlainUNet", "SEUNet"]
