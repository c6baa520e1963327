"""Geometry of tiles in whole numbers, and resampling that neither aliases nor darkens the border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.data.utils import affine_to_spacing
from monai.transforms import TraceableTransform
from monai.transforms.utils import scale_affine


def scaled_size(size: Sequence[int], factors: Sequence[float]) -> tuple[int, ...]:
    """Whole-pixel size nearest to `size` times `factors`, at least one pixel an axis."""
    return tuple(max(1, round(length * factor)) for length, factor in zip(size, factors, strict=True))


def resample(image: torch.Tensor, size: Sequence[int], mode: str = "bilinear") -> torch.Tensor:
    """Resample an image to `size`; pixels are squares, so that both images cover the same area.

    `bilinear` widens its kernel when it shrinks (no aliasing) and renormalises it at the border: a constant image
    stays constant. MONAI's `Resize(anti_aliasing=True)` darkens the border instead. `nearest` copies values, hence is
    exact for labels of any integer type. Numbers are computed in float32 (float64 for float64) and rounded back.

    Args:
        image: (C, H, W), integer or floating point.
        size: (H', W').
        mode: `bilinear` for images and probabilities, `nearest` for labels.

    Returns:
        (C, H', W'), with the dtype of `image`.

    Raises:
        ValueError: for another mode.
    """
    if mode == "nearest":
        rows, columns = (_nearest(before, after, image) for before, after in zip(image.shape[1:], size, strict=True))
        return image[:, rows][:, :, columns]
    if mode != "bilinear":
        raise ValueError(f"resampling mode is '{mode}'; choose bilinear (images) or nearest (labels)")
    dtype = image.dtype
    computed = image if dtype == torch.float64 else image.float()
    result = F.interpolate(computed[None], tuple(size), mode="bilinear", antialias=True)[0]
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        result = result.round().clamp(limits.min, limits.max)
    return result.to(dtype)


def _nearest(before: int, after: int, image: torch.Tensor) -> torch.Tensor:
    """Index of the old pixel that holds the centre of each new one, in integer arithmetic."""
    centres = 2 * torch.arange(after, device=image.device) + 1
    return centres * before // (2 * after)


def spacing_of(image: torch.Tensor) -> tuple[float, float] | None:
    """Height and width of a pixel in µm, or None where the image does not say."""
    if not isinstance(image, MetaTensor) or image.meta.get("mpp") is None:
        return None
    height, width = affine_to_spacing(image.affine, 2).tolist()
    return height, width


def resample_tracked(
    image: torch.Tensor, size: Sequence[int], mode: str, transform_info: dict[str, Any]
) -> torch.Tensor:
    """Do `resample` and, on a MetaTensor, record it: affine, `meta["mpp"]` and the operation to invert.

    Args:
        image: (C, H, W)
        size: (H', W')
        mode: see `resample`.
        transform_info: of the transform that calls this (`get_transform_info()`).
    """
    before = tuple(image.shape[1:])
    result = resample(image.as_tensor() if isinstance(image, MetaTensor) else image, size, mode)
    if not isinstance(image, MetaTensor):
        return result
    meta = TraceableTransform.track_transform_meta(
        image,
        sp_size=size,
        affine=scale_affine(before, size),
        extra_info={"mode": mode},
        orig_size=before,
        transform_info=transform_info,
    )
    tracked = MetaTensor(result).copy_meta_from(meta)
    if tracked.meta.get("mpp") is not None:
        tracked.meta["mpp"] = sum(affine_to_spacing(tracked.affine, 2).tolist()) / 2
    return tracked
