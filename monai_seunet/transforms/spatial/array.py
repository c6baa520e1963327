"""Rescaling of one image by a factor or to a pixel size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.data import MetaTensor
from monai.data.meta_obj import get_track_meta
from monai.transforms import InvertibleTransform
from monai.utils import TraceKeys, TransformBackends, convert_to_tensor

from monai_seunet.transforms.spatial.functional import resample_tracked, scaled_size, spacing_of
from monai_seunet.utils.errors import InputError


class Resampling(InvertibleTransform):
    """Base class of the rescaling transforms, which resamples to a size and back."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI defines the name and type)

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def resample(self, img: torch.Tensor, size: Sequence[int], mode: str | None = None) -> torch.Tensor:
        """Resample (C, H, W) to `size`, and record the operation on a MetaTensor."""
        img = convert_to_tensor(img, track_meta=get_track_meta())
        return resample_tracked(img, size, mode or self.mode, self.get_transform_info())

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Resample to the original size; shrinking is antialiased."""
        applied = self.pop_transform(data)
        with self.trace_transform(False):
            return self.resample(data, applied[TraceKeys.ORIG_SIZE], applied[TraceKeys.EXTRA_INFO]["mode"])


class RescaleByFactor(Resampling):
    """Rescale an image by a factor: (C, H, W) -> (C, round(H * factor), round(W * factor)).

    Invariant: the affine of a MetaTensor describes the same area. `inverse` restores size and affine exactly, and also
    the pixels of labels if `factor` is a whole number.
    Limits: `inverse` cannot restore detail that shrinking removed. Integer images stay integer (rounded).

    Args:
        factor: new size divided by old size; above 1 enlarges.
        mode: `bilinear` (antialiased, for images and probabilities) or `nearest` (for labels).

    Raises:
        ValueError: the factor is not positive.

    >>> RescaleByFactor(0.5)(torch.zeros(3, 40, 60)).shape
    torch.Size([3, 20, 30])
    """

    def __init__(self, factor: float, mode: str = "bilinear") -> None:
        if not factor > 0:
            raise ValueError(f"factor is {factor}; it has to be positive, above 1 enlarges")
        super().__init__(mode)
        self.factor = factor

    def __call__(self, img: torch.Tensor, mode: str | None = None) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` overrides the mode of the constructor."""
        return self.resample(img, scaled_size(img.shape[1:], [self.factor] * 2), mode)


class RescaleToMpp(Resampling):
    """Rescale an image so that its pixels are `target_mpp` µm wide and high.

    Invariant: the size depends only on µm: an image of twice the pixels at half the mpp gives the same size.
    Limits: the size is rounded to whole pixels, which changes the mpp (in the affine) by a share of up to 0.5 / H'.

    Args:
        target_mpp: pixel size of the result in µm.
        mpp: pixel size in µm of images whose file does not state it; None raises an error for them.
        mode: see `RescaleByFactor`.

    Raises:
        InputError: the pixel size of the image is unknown.
        ValueError: a pixel size is not positive.

    >>> RescaleToMpp(target_mpp=0.5, mpp=0.25)(torch.zeros(3, 40, 60)).shape
    torch.Size([3, 20, 30])
    """

    def __init__(self, target_mpp: float, mpp: float | None = None, mode: str = "bilinear") -> None:
        for name, value in (("target_mpp", target_mpp), ("mpp", mpp)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it has to be a positive number of µm per pixel")
        super().__init__(mode)
        self.target_mpp = target_mpp
        self.mpp = mpp

    def __call__(self, img: torch.Tensor, mode: str | None = None) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` overrides the mode of the constructor."""
        return self.resample(img, self.size_of(img), mode)

    def size_of(self, img: torch.Tensor) -> tuple[int, ...]:
        """Return the size (H', W') of `img` (C, H, W) after rescaling."""
        spacing = spacing_of(img)
        if spacing is None and self.mpp is not None:
            spacing = (self.mpp, self.mpp)
        if spacing is None:
            name = img.meta.get("filename_or_obj", "image") if isinstance(img, MetaTensor) else "image"
            raise InputError(
                f"{name}: the file does not state its pixel size and cannot be rescaled to {self.target_mpp} µm; "
                "give the µm per pixel as mpp, or do not rescale"
            )
        return scaled_size(img.shape[1:], [size / self.target_mpp for size in spacing])
