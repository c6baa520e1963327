"""Layers: fixed and Gaussian kernels, scale convolutions, norms and sampling."""

from monai_seunet.networks.layers.disco import DISCOConv2d
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.scale_conv import FoldedScaleConv2d, ScaleConv2d
from monai_seunet.networks.layers.sesn import SESNConv2d
from monai_seunet.networks.layers.sigma import ScaleParameter

__all__ = ["DISCOConv2d", "FoldedScaleConv2d", "SESNConv2d", "ScaleBatchNorm2d", "ScaleConv2d", "ScaleParameter"]
