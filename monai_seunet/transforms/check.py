"""Refuse images that a network cannot take, by the name of their file."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends

from monai_seunet.errors import InputError


class CheckImage(Transform):
    """Pass an image on as it is, if it can be used: (C, H, W), finite, with values as in 8-bit images.

    Args:
        channels: C, three for RGB.

    Raises:
        InputError: naming the file, where it has another number of channels, holds NaN or infinity, or its values are
            not those of an 8-bit image.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, channels: int = 3) -> None:
        self.channels = channels

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Check `img` (C, H, W)."""
        name = img.meta.get("filename_or_obj", "image") if isinstance(img, MetaTensor) else "image"
        if img.dim() != 3 or img.shape[0] != self.channels or 0 in img.shape:
            raise InputError(
                f"{name}: image of {img.shape[0]} channels and {list(img.shape[1:])} pixels; "
                f"the network takes {self.channels} channels and two axes"
            )
        if not bool(torch.isfinite(img).all()):
            raise InputError(f"{name}: image holds NaN or infinite values; export it again without them")
        least, most = float(img.min()), float(img.max())
        if least < 0 or most > 255 or (img.is_floating_point() and 0 < most <= 1):
            raise InputError(
                f"{name}: values from {least:g} to {most:g}; an image of 0 to 255 is expected, export it with 8 bits"
            )
        return img


class CheckImaged(MapTransform):
    """Dictionary form of `CheckImage`.

    Args:
        keys: the images.
        channels: see `CheckImage`.
        allow_missing_keys: skip keys that an item does not have.
    """

    backend = CheckImage.backend

    def __init__(self, keys: KeysCollection, channels: int = 3, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.check = CheckImage(channels)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Check every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            self.check(result[key])
        return result


CheckImageD = CheckImageDict = CheckImaged
