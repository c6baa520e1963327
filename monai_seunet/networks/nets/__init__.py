"""Architectures, one a file."""

from monai_seunet.networks.nets.disco_unet import DISCOUNet
from monai_seunet.networks.nets.plain_unet import PlainUNet
from monai_seunet.networks.nets.sesn_unet import SESNUNet
from monai_seunet.networks.nets.seunet import SEUNet

__all__ = ["DISCOUNet", "PlainUNet", "SESNUNet", "SEUNet"]
