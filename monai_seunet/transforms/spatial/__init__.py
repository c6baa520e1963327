"""Rescaling of images and labels."""

from monai_seunet.transforms.spatial.array import RescaleByFactor, RescaleToMpp
from monai_seunet.transforms.spatial.dictionary import (
    RescaleByFactorD,
    RescaleByFactord,
    RescaleByFactorDict,
    RescaleToMppD,
    RescaleToMppd,
    RescaleToMppDict,
)
from monai_seunet.transforms.spatial.functional import resample
from monai_seunet.transforms.spatial.random import RandRescaledCropD, RandRescaledCropd, RandRescaledCropDict

__all__ = [
    "RandRescaledCropD",
    "RandRescaledCropDict",
    "RandRescaledCropd",
    "RescaleByFactor",
    "RescaleByFactorD",
    "RescaleByFactorDict",
    "RescaleByFactord",
    "RescaleToMpp",
    "RescaleToMppD",
    "RescaleToMppDict",
    "RescaleToMppd",
    "resample",
]
