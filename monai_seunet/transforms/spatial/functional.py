"""Resampling of images without aliasing and without dark borders."""

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
    """Return `size` times `factors`, rounded to whole pixels, at least one pixel for each axis."""
    return tuple(max(1, round(length * factor)) for length, factor in zip(size, factors, strict=True))


def resample(image: torch.Tensor, size: Sequence[int], mode: str = "bilinear") -> torch.Tensor:
    """Resample an image to `size`; both images cover the same area.

    `bilinear` is antialiased and normalises its kernel at the border, so a constant image stays constant; MONAI's
    `Resize(anti_aliasing=True)` darkens the border. `nearest` copies values, so labels of any integer type are
    exact. `bilinear` computes in float32 (float64 for float64 images) and rounds the result for integer images.

    Args:
        image: image (C, H, W), integer or floating point.
        size: new size (H', W') in pixels.
        mode: `bilinear` for images and probabilities, `nearest` for labels.

    Returns:
        the image (C, H', W') with the dtype of `image`.

    Raises:
        ValueError: the mode is unknown.

    >>> resample(torch.tensor([[[0, 4], [8, 12]]]), (1, 1))
    tensor([[[6]]])
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
    """Return the index of the old pixel that contains the centre of each new pixel, by integer arithmetic."""
    centres = 2 * torch.arange(after, device=image.device) + 1
    return centres * before // (2 * after)


def spacing_of(image: torch.Tensor) -> tuple[float, float] | None:
    """Return the height and width of a pixel in µm, or None if the image has no pixel size."""
    if not isinstance(image, MetaTensor) or image.meta.get("mpp") is None:
        return None
    height, width = affine_to_spacing(image.affine, 2).tolist()
    return height, width


def resample_tracked(
    image: torch.Tensor, size: Sequence[int], mode: str, transform_info: dict[str, Any]
) -> torch.Tensor:
    """Apply `resample`, and update the affine, `meta["mpp"]` and the applied operations of a MetaTensor.

    `transform_info` is `get_transform_info()` of the calling transform.
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
