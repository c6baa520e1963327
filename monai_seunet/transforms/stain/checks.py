"""What an RGB image must be before its stains can be looked at; every mistake in one line."""

from __future__ import annotations

import warnings

import torch
from monai.data import MetaTensor

from monai_seunet.errors import InputError

# Interpolation may overshoot by rounding; more than this is another scale.
_OVERSHOOT = 1e-4


def require_rgb(image: torch.Tensor) -> torch.Tensor:
    """The plain (3, H, W) tensor of an image that is uint8, or float in [0, 1]; an alpha channel is dropped.

    Raises:
        InputError: for a grey or multi-channel image, channels in the last axis, another type or another range.
    """
    name = image_name(image)
    tensor = image.as_tensor() if isinstance(image, MetaTensor) else image
    shape = list(tensor.shape)
    if tensor.ndim != 3 or shape[0] not in (3, 4):
        raise InputError(f"{name}: stain transforms need an RGB image (3, H, W), got shape {shape}; {_advice(shape)}")
    if tensor.numel() == 0:
        raise InputError(f"{name}: the image has no pixels, its shape is {shape}")
    if shape[0] == 4:
        warnings.warn(f"{name}: the alpha channel is dropped", stacklevel=3)
        tensor = tensor[:3]
    if tensor.dtype == torch.uint8:
        return tensor
    if not tensor.is_floating_point():
        raise InputError(f"{name}: pixels are {tensor.dtype}; give uint8, or float in [0, 1]")
    low, high = (float(value) for value in tensor.aminmax())
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):  # also refuses NaN
        raise InputError(
            f"{name}: float pixels range from {low:.4g} to {high:.4g}; stain transforms need [0, 1]: scale them, "
            "and put these transforms before any standardisation"
        )
    return tensor.clamp(0, 1)


def _advice(shape: list[int]) -> str:
    if len(shape) == 3 and shape[-1] in (3, 4):
        return "the channels are last: use EnsureChannelFirst"
    if len(shape) == 2 or (len(shape) == 3 and shape[0] == 1):
        return "a grey image has no stain colours: leave them out (stain false)"
    return "give one image of three channels"


def image_name(image: torch.Tensor) -> str:
    """The file that an image came from, where its metadata know it; else `image`."""
    name = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return str(name) if name else "image"
