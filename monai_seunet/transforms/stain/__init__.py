"""Stain separation, normalisation to a target, and stain augmentation for H&E images."""

from __future__ import annotations

from monai_seunet.transforms.stain.array import RandStainJitter, ReinhardNormalize, StainNormalize
from monai_seunet.transforms.stain.dictionary import (
    RandStainJitterD,
    RandStainJitterd,
    RandStainJitterDict,
    ReinhardNormalizeD,
    ReinhardNormalized,
    ReinhardNormalizeDict,
    StainNormalizeD,
    StainNormalized,
    StainNormalizeDict,
)
from monai_seunet.transforms.stain.extractors import Macenko, StainExtractor, StainToolsExtractor, Vahadane
from monai_seunet.transforms.stain.fit import cached_profile, fit_profile
from monai_seunet.transforms.stain.haematoxylin import (
    HaematoxylinDensity,
    HaematoxylinDensityD,
    HaematoxylinDensityd,
    HaematoxylinDensityDict,
)
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile
from monai_seunet.transforms.stain.reinhard import lab_statistics

__all__ = [
    "HaematoxylinDensity",
    "HaematoxylinDensityD",
    "HaematoxylinDensityDict",
    "HaematoxylinDensityd",
    "Macenko",
    "NoTissueError",
    "RandStainJitter",
    "RandStainJitterD",
    "RandStainJitterDict",
    "RandStainJitterd",
    "ReinhardNormalize",
    "ReinhardNormalizeD",
    "ReinhardNormalizeDict",
    "ReinhardNormalized",
    "StainExtractor",
    "StainNormalize",
    "StainNormalizeD",
    "StainNormalizeDict",
    "StainNormalized",
    "StainProfile",
    "StainToolsExtractor",
    "Vahadane",
    "cached_profile",
    "fit_profile",
    "lab_statistics",
]
