"""Networks and the layers that they are made of."""

from monai_seunet.networks.nets import PlainUNet, SEUNet

__all__ = ["PlainUNet", "SEUNet"]
