"""A check that a network can process an image."""

from __future__ import annotations

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import Transform
from monai.utils import TransformBackends

from monai_seunet.transforms.dictionary import DictionaryForm
from monai_seunet.utils.errors import InputError


class CheckImage(Transform):
    """Return an image (C, H, W) unchanged, or raise an error if a network cannot process it.

    Args:
        channels: number of channels C, 3 for RGB or 1 for grey.
        bits: bit depth, 8, or 16 if later transforms adapt to the range of each image.

    Raises:
        InputError: the image has another number of channels, holds NaN or infinity, or its values do not fit the bit
            depth.

    >>> CheckImage()(torch.full((3, 4, 4), 200.0)).shape
    torch.Size([3, 4, 4])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, channels: int = 3, bits: int = 8) -> None:
        self.channels = channels
        self.bits = bits
        self.largest = 2**bits - 1

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Check `img` (C, H, W)."""
        name = img.meta.get("filename_or_obj", "image") if isinstance(img, MetaTensor) else "image"
        if img.dim() != 3 or img.shape[0] != self.channels or 0 in img.shape:
            raise InputError(
                f"{name}: image of {img.shape[0]} channels and {list(img.shape[1:])} pixels; "
                f"{self.channels} channels and two axes are expected{self._advice(img)}"
            )
        if not bool(torch.isfinite(img).all()):
            raise InputError(f"{name}: image holds NaN or infinite values; export it again without them")
        least, most = float(img.min()), float(img.max())
        if least < 0 or most > self.largest or (img.is_floating_point() and 0 < most <= 1):
            alternative = ", or train with standardise for 16" if self.bits == 8 else ""
            raise InputError(
                f"{name}: values from {least:g} to {most:g}; an image of 0 to {self.largest} is expected, "
                f"export it with {self.bits} bits{alternative}"
            )
        return img

    def _advice(self, img: torch.Tensor) -> str:
        if img.dim() != 3 or (img.shape[0], self.channels) not in ((1, 3), (3, 1)):
            return ""
        wanted = "RGB" if self.channels == 3 else "grey"
        return f"; export it as {wanted}, or take a network trained with in_channels {img.shape[0]}"


class CheckImaged(DictionaryForm):
    """Dictionary form of `CheckImage`."""

    backend = CheckImage.backend

    def __init__(
        self, keys: KeysCollection, channels: int = 3, bits: int = 8, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, CheckImage(channels, bits), allow_missing_keys)


CheckImageD = CheckImageDict = CheckImaged
