"""Architectures, one a file."""

from monai_seunet.networks.nets.equivariant_unet import BaselineUNet, EquivariantUNet
from monai_seunet.networks.nets.g_dense_net import GDenseNet, GDenseUNet
from monai_seunet.networks.nets.g_unet import GUNet
from monai_seunet.networks.nets.plain_unet import PlainUNet
from monai_seunet.networks.nets.seunet import SEUNet
from monai_seunet.networks.nets.simplified_g_unet import SimplifiedGUNet, SimplifiedUNet

__all__ = [
    "BaselineUNet",
    "EquivariantUNet",
    "GDenseNet",
    "GDenseUNet",
    "GUNet",
    "PlainUNet",
    "SEUNet",
    "SimplifiedGUNet",
    "SimplifiedUNet",
]
