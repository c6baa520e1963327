"""Rescale an image by a factor, or to a given pixel size."""

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
    """What the rescaling transforms share: resample to a size, and back to the size before."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (the name and type that MONAI reads)

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def resample(self, img: torch.Tensor, size: Sequence[int], mode: str | None = None) -> torch.Tensor:
        """Resample (C, H, W) to `size`, recorded on a MetaTensor."""
        img = convert_to_tensor(img, track_meta=get_track_meta())
        return resample_tracked(img, size, mode or self.mode, self.get_transform_info())

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Resample back to the size before, antialiased where that shrinks."""
        done = self.pop_transform(data)
        with self.trace_transform(False):
            return self.resample(data, done[TraceKeys.ORIG_SIZE], done[TraceKeys.EXTRA_INFO]["mode"])


class RescaleByFactor(Resampling):
    """Rescale an image by a factor: (C, H, W) -> (C, round(H * factor), round(W * factor)).

    Invariant: the affine of a MetaTensor keeps describing the same area; `inverse` gives back size and affine exactly,
    and the pixels of labels exactly where `factor` is a whole number.
    Limits: detail that shrinking removed does not come back. Integer images stay integer (rounded).

    Args:
        factor: new size over old size; above 1 enlarges.
        mode: `bilinear` (antialiased, for images and probabilities) or `nearest` (for labels).

    Raises:
        ValueError: for a factor that is not positive.
    """

    def __init__(self, factor: float, mode: str = "bilinear") -> None:
        if not factor > 0:
            raise ValueError(f"factor is {factor}; it has to be positive, above 1 enlarges")
        super().__init__(mode)
        self.factor = factor

    def __call__(self, img: torch.Tensor, mode: str | None = None) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` replaces the one given at construction."""
        return self.resample(img, scaled_size(img.shape[1:], [self.factor] * 2), mode)


class RescaleToMpp(Resampling):
    """Rescale an image so that one pixel is `target_mpp` µm wide and high, whatever magnification it came with.

    Invariant: the result depends on µm alone: an image of twice the pixels at half the mpp gives the same size. Limits:
    the size is a whole number of pixels, so that the mpp reached (in the affine) differs by at most half a pixel's
    share.

    Args:
        target_mpp: wanted pixel size in µm.
        mpp: pixel size in µm of images that do not say theirs; None makes them an error.
        mode: see `RescaleByFactor`.

    Raises:
        InputError: where an image has no pixel size and `mpp` is not given.
        ValueError: for a pixel size that is not positive.
    """

    def __init__(self, target_mpp: float, mpp: float | None = None, mode: str = "bilinear") -> None:
        for name, value in (("target_mpp", target_mpp), ("mpp", mpp)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; it has to be a positive number of µm per pixel")
        super().__init__(mode)
        self.target_mpp = target_mpp
        self.mpp = mpp

    def __call__(self, img: torch.Tensor, mode: str | None = None) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` replaces the one given at construction."""
        return self.resample(img, self.size_of(img), mode)

    def size_of(self, img: torch.Tensor) -> tuple[int, ...]:
        """Size (H', W') that `img` (C, H, W) has at the wanted pixel size."""
        known = spacing_of(img)
        if known is None and self.mpp is not None:
            known = (self.mpp, self.mpp)
        if known is None:
            name = img.meta.get("filename_or_obj", "image") if isinstance(img, MetaTensor) else "image"
            raise InputError(
                f"{name}: the file does not say its pixel size, so that it cannot be rescaled to {self.target_mpp} µm; "
                "give the µm per pixel as mpp, or do not rescale"
            )
        return scaled_size(img.shape[1:], [size / self.target_mpp for size in known])
