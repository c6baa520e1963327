"""MONAI transforms for stains, rescaling, labels, fusion of scale groups, and checks of images and labels."""

from monai_seunet.transforms import stain
from monai_seunet.transforms.check import CheckImage, CheckImaged
from monai_seunet.transforms.directions import CentreDirections, CentreDirectionsd, SplitDirectionsd
from monai_seunet.transforms.fusion import FuseScales, FuseScalesd, WinningScale
from monai_seunet.transforms.instances import CheckInstances, CheckInstancesd
from monai_seunet.transforms.labels import CheckLabels, CheckLabelsd, InstancesToClasses, InstancesToClassesd
from monai_seunet.transforms.normalization import normalize_intensity, normalize_stain
from monai_seunet.transforms.patch_class import PatchClass, PatchClassd
from monai_seunet.transforms.spatial import (
    RandRescaledCropd,
    RescaleByFactor,
    RescaleByFactord,
    RescaleToMpp,
    RescaleToMppd,
)

__all__ = [
    "CentreDirections",
    "CentreDirectionsd",
    "CheckImage",
    "CheckImaged",
    "CheckInstances",
    "CheckInstancesd",
    "CheckLabels",
    "CheckLabelsd",
    "FuseScales",
    "FuseScalesd",
    "InstancesToClasses",
    "InstancesToClassesd",
    "PatchClass",
    "PatchClassd",
    "RandRescaledCropd",
    "RescaleByFactor",
    "RescaleByFactord",
    "RescaleToMpp",
    "RescaleToMppd",
    "SplitDirectionsd",
    "WinningScale",
    "normalize_intensity",
    "normalize_stain",
    "stain",
]
