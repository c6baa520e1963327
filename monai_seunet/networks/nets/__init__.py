"""Architectures, one in each file."""

from monai_seunet.networks.nets.disco_unet import DISCOUNet
from monai_seunet.networks.nets.equivariant_unet import BaselineUNet, EquivariantUNet
from monai_seunet.networks.nets.g_dense_net import GDenseNet, GDenseUNet
from monai_seunet.networks.nets.g_unet import GUNet
from monai_seunet.networks.nets.plain_unet import PlainUNet
from monai_seunet.networks.nets.pyramid_unet import PyramidUNet
from monai_seunet.networks.nets.roto_scale_unet import RotoScaleUNet
from monai_seunet.networks.nets.sesn_unet import SESNUNet
from monai_seunet.networks.nets.seunet import SEUNet
from monai_seunet.networks.nets.simplified_g_unet import SimplifiedGUNet, SimplifiedUNet

__all__ = [
    "BaselineUNet",
    "DISCOUNet",
    "EquivariantUNet",
    "GDenseNet",
    "GDenseUNet",
    "GUNet",
    "PlainUNet",
    "PyramidUNet",
    "RotoScaleUNet",
    "SESNUNet",
    "SEUNet",
    "SimplifiedGUNet",
    "SimplifiedUNet",
]
