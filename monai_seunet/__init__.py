"""Segment nuclei and tissue at any magnification and in any orientation, as MONAI components."""

from monai_seunet import errors
from monai_seunet.losses import ScaleGroupLoss
from monai_seunet.networks import PlainUNet, SEUNet

__version__ = "0.1.0"

__all__ = ["ScaleGroupLoss", "PlainUNet", "SEUNet", "errors"]
