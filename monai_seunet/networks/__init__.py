"""Networks and the layers that they are made of."""

from monai_seunet.networks.nets import DISCOUNet, PlainUNet, SESNUNet, SEUNet

__all__ = ["DISCOUNet", "PlainUNet", "SESNUNet", "SEUNet"]
