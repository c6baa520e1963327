"""Transforms: stain, tiles and rescaling, fusion of scale groups, checks of what comes in."""

from monai_seunet.transforms import stain
from monai_seunet.transforms.check import CheckImage, CheckImaged
from monai_seunet.transforms.directions import CentreDirections, CentreDirectionsd, SplitDirectionsd
from monai_seunet.transforms.fusion import FuseScales, FuseScalesd, WinningScale
from monai_seunet.transforms.patch_class import PatchClass, PatchClassd
from monai_seunet.transforms.spatial import (
    RandRescale,
    RandRescaled,
    RescaleByFactor,
    RescaleByFactord,
    RescaleToMpp,
    RescaleToMppd,
    TileDataset,
    check_crop,
)

__all__ = [
    "CentreDirections",
    "CentreDirectionsd",
    "CheckImage",
    "CheckImaged",
    "FuseScales",
    "FuseScalesd",
    "PatchClass",
    "PatchClassd",
    "RandRescale",
    "RandRescaled",
    "RescaleByFactor",
    "RescaleByFactord",
    "RescaleToMpp",
    "RescaleToMppd",
    "SplitDirectionsd",
    "TileDataset",
    "WinningScale",
    "check_crop",
    "stain",
]
