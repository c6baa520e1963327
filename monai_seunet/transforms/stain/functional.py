"""The mathematics of stain separation: optical density, tissue, concentrations, and how they make a new image.

Axis letters: P pixels or colours, 2 stains (haematoxylin first, then eosin), 3 channels red, green, blue.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from monai.data import MetaTensor

from monai_seunet.native.kernels import native_image, native_transfer
from monai_seunet.utils.errors import InputError

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


# Pixels handled at once: all intermediate planes of a block stay in the second-level cache of one core.
BLOCK = 32768
# A lightness below this counts as tissue: CIELAB's L*, 100 is white. It is 0.8 in staintools' eight-bit rounding.
TISSUE_LIGHTNESS = 203.5 / 2.55


def unit_intensity(rgb: torch.Tensor) -> torch.Tensor:
    """Intensities in [0, 1], float32 or float64: uint8 is divided by 255, shorter floats are widened."""
    if rgb.dtype == torch.uint8:
        return rgb.float().div_(255)
    return rgb if rgb.dtype == torch.float64 else rgb.float()


def as_dtype(intensity: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The inverse of `unit_intensity`: clamped to [0, 1] and, for uint8, rounded to the nearest level."""
    intensity = intensity.clamp(0, 1)
    return intensity.mul(255).round().to(torch.uint8) if dtype == torch.uint8 else intensity.to(dtype)


def optical_density(rgb: torch.Tensor) -> torch.Tensor:
    """Beer–Lambert optical density, −ln(intensity), with the intensity held at or above 1/255.

    Args:
        rgb: any shape, uint8 or float in [0, 1].

    Returns:
        Same shape, float; 0 for white, ln 255 = 5.54 for black.
    """
    return unit_intensity(rgb).clamp(min=1 / 255).log().neg_()


def tissue_mask(rgb: torch.Tensor, lightness: float = TISSUE_LIGHTNESS) -> torch.Tensor:
    """Where the CIELAB lightness is below a threshold: tissue is darker than the empty glass.

    L* depends on the luminance alone, so the threshold is moved to linear luminance instead of converting the image.

    Args:
        rgb: (3, ...), sRGB, uint8 or float in [0, 1].
        lightness: threshold on L*, 0 to 100.

    Returns:
        Boolean, (...).
    """
    intensity = unit_intensity(rgb)
    linear = torch.where(intensity <= 0.04045, intensity / 12.92, ((intensity + 0.055) / 1.055) ** 2.4)
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < ((lightness + 16) / 116) ** 3


def concentrations(density: torch.Tensor, matrix: torch.Tensor, penalty: float) -> torch.Tensor:
    """Non-negative sparse stain concentrations, in closed form.

    Minimises ½‖d − Wᵀh‖² + penalty·(h₁ + h₂) over h ≥ 0 for every colour d. With G = WWᵀ and b = Wd − penalty the free
    minimum is G⁻¹b. Where one stain is negative there it is absent, and the other has its own one-dimensional minimum:
    hᵢ = max(0, (bᵢ − G₁₂·max(0, (G⁻¹b)ⱼ)) / Gᵢᵢ) holds in all cases as long as G₁₂ ≥ 0.

    Args:
        density: (3, P) optical density.
        matrix: W, (2, 3), a stain a row, non-negative.
        penalty: weight of the sum of the concentrations, >= 0.

    Returns:
        (2, P), same type as `density`; never negative, never NaN for finite input.

    Raises:
        ValueError: for a matrix that is not (2, 3) or whose stains are at an obtuse angle.

    References:
        Vahadane et al., Structure-Preserving Color Normalization and Sparse Stain Separation for Histological Images,
        2016, equation 4 with W fixed.
    """
    matrix = matrix.to(density)
    norms, overlap, free = _separation(matrix)
    projection = (matrix @ density).sub_(penalty)  # (2, P)
    other = (free @ projection).relu_()  # row i: the free minimum of the stain that is not i
    return projection.addcmul_(other, -overlap.expand_as(norms)).div_(norms).relu_()


def _separation(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Squared norms (2, 1) and inner product of two stains (2, 3), and the map (2, 2) to the free minima, swapped."""
    if matrix.shape != (2, 3):
        raise ValueError(f"a stain matrix is (2, 3), a stain a row; got {list(matrix.shape)}")
    gram = matrix @ matrix.T
    overlap = gram[0, 1]
    if overlap < 0:
        raise ValueError(f"the stains are at an obtuse angle (inner product {overlap:.3g}); give non-negative stains")
    norms = gram.diagonal().unsqueeze(1)
    # Parallel stains have no unique answer: the bound makes the one that explains more take all.
    determinant = (norms.prod() - overlap**2).clamp(min=1e-12)
    adjugate = torch.stack([torch.stack([gram[1, 1], -overlap]), torch.stack([-overlap, gram[0, 0]])])
    return norms, overlap, adjugate.flip(0) / determinant


def transfer_stains(
    rgb: torch.Tensor, source: torch.Tensor, target: torch.Tensor, gain: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Separate an image by one stain matrix and put it together by another.

    Invariant: colours without stain stay white; the result never leaves the plane of the target's two stains, and it is
    the input, to rounding, where the input lies in that plane, source = target, gain = 1 and penalty = 0.

    Args:
        rgb: (3, ...), uint8 or float in [0, 1].
        source: (2, 3) stains of the image.
        target: (2, 3) stains of the result.
        gain: (2,) factor on each concentration.
        penalty: see `concentrations`.

    Returns:
        Same shape and type as `rgb`, rounded (not truncated) for uint8.
    """
    if native_image(rgb):
        norms, overlap, free = _separation(source.cpu().float())
        levels = optical_density(torch.arange(256, dtype=torch.uint8, device="cpu"))
        mixing = (target * gain.unsqueeze(1)).T
        native = native_transfer(rgb, levels, source, free, norms, mixing, float(overlap), penalty)
        if native is not None:
            return native

    def transfer(block: torch.Tensor) -> torch.Tensor:
        density = optical_density(block)
        amount = concentrations(density, source, penalty)  # (2, P)
        mixing = (target * gain.unsqueeze(1)).T.to(amount)  # (3, 2)
        return as_dtype((mixing @ amount).neg_().exp_(), block.dtype)

    return _blockwise(transfer, rgb, 3, rgb.dtype)


def jitter_stains(
    rgb: torch.Tensor, matrix: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Change the amount of each stain, h to max(0, scale·h + shift), and keep all that the stains do not explain.

    Invariant: scale = 1 with shift = 0 is the identity, whatever the matrix.

    Args:
        rgb: (3, ...), uint8 or float in [0, 1].
        matrix: (2, 3) stains of the image.
        scale: (2,) factor on each concentration.
        shift: (2,) added to each concentration, in its units; a positive one also tints the empty glass.
        penalty: see `concentrations`.

    Returns:
        Same shape and type as `rgb`.
    """

    def jitter(block: torch.Tensor) -> torch.Tensor:
        amount = concentrations(optical_density(block), matrix, penalty)
        factor, offset = scale.to(amount).unsqueeze(1), shift.to(amount).unsqueeze(1)
        change = (factor * amount + offset).relu_() - amount
        return as_dtype(unit_intensity(block) * (matrix.to(amount).T @ change).neg_().exp_(), block.dtype)

    return _blockwise(jitter, rgb, 3, rgb.dtype)


def haematoxylin_density(rgb: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """How much haematoxylin there is, by separating an image into two known stains.

    Invariant: 0 for white; a darker haematoxylin alone, density d to c d, gives c times as much.

    Args:
        rgb: (3, ...), uint8 or float in [0, 1].
        matrix: (2, 3) stains, haematoxylin first.

    Returns:
        (1, ...) optical density, >= 0, float.
    """

    def amount(block: torch.Tensor) -> torch.Tensor:
        return concentrations(optical_density(block), matrix, 0.0)[:1]

    return _blockwise(amount, rgb, 1, torch.float64 if rgb.dtype == torch.float64 else torch.float32)


def _blockwise(
    function: Callable[[torch.Tensor], torch.Tensor], rgb: torch.Tensor, channels: int, dtype: torch.dtype
) -> torch.Tensor:
    """Make (channels, ...) of (3, ...) pixel by pixel, in blocks that fit the cache; a GPU takes all at once."""
    pixels = rgb.reshape(3, -1)
    result = pixels.new_empty((channels, pixels.shape[1]), dtype=dtype)
    size = BLOCK if rgb.device.type == "cpu" else max(pixels.shape[1], 1)
    for start in range(0, pixels.shape[1], size):
        result[:, start : start + size] = function(pixels[:, start : start + size])
    return result.reshape(channels, *rgb.shape[1:])
