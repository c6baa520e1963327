"""Normalisation of colours and intensities, as all configs of the bundle have it."""

from __future__ import annotations

from pathlib import Path

from monai.config import KeysCollection
from monai.transforms import Compose, NormalizeIntensityd, ScaleIntensityRanged, Transform

from monai_seunet.transforms.stain import HaematoxylinDensityd, StainNormalized


def normalize_stain(
    keys: KeysCollection, stain_target: str | Path | None = None, haematoxylin: bool = False
) -> Compose:
    """Make the transform that normalises the stain of RGB images.

    Args:
        keys: keys of the images.
        stain_target: JSON file of the stain colours that images get; None leaves the colours.
        haematoxylin: replace the image by the density of haematoxylin, one channel.
    """
    steps: list[Transform] = [] if stain_target is None else [StainNormalized(keys, target=stain_target)]
    return Compose([*steps, *([HaematoxylinDensityd(keys)] if haematoxylin else [])])


def normalize_intensity(keys: KeysCollection, standardise: bool = False) -> Transform:
    """Make the transform that normalises intensities.

    Args:
        keys: keys of the images.
        standardise: bring each image to mean 0 and standard deviation 1; else 0 to 255 become 0 to 1.
    """
    if standardise:
        return NormalizeIntensityd(keys)
    return ScaleIntensityRanged(keys, a_min=0, a_max=255, b_min=0, b_max=1)
