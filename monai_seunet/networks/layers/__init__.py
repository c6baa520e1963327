"""Layers: kernels, scale convolutions, norms and sampling."""

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.layers.discrete.sesn import SESNConv2d
from monai_seunet.networks.layers.gaussian.scale_conv import FoldedScaleConv2d, ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import ScaleParameter
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d

__all__ = ["DISCOConv2d", "FoldedScaleConv2d", "SESNConv2d", "ScaleBatchNorm2d", "ScaleConv2d", "ScaleParameter"]
