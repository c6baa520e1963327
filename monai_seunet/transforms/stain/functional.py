"""Mathematics of stain separation: optical density, tissue mask, concentrations, and the synthesis of a new image.

Shapes: P pixels or colours, 2 stains (haematoxylin first, then eosin), 3 channels red, green, blue.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from monai.data import MetaTensor

from monai_seunet.native.kernels import native_image, native_transfer
from monai_seunet.utils.errors import InputError

_OVERSHOOT = 1e-4  # interpolation may exceed [0, 1] by rounding; larger values have another scale
BLOCK = 32768  # pixels processed at once, so the intermediate planes fit the second-level cache of one core
# CIELAB lightness (0 to 100) below which a pixel is tissue: staintools' threshold 0.8 with its rounding to 8 bits.
TISSUE_LIGHTNESS = 203.5 / 2.55


def require_rgb(image: torch.Tensor) -> torch.Tensor:
    """Return the plain tensor (3, H, W) of an image, uint8 or float in [0, 1]; an alpha channel is dropped.

    Raises:
        InputError: the image is grey or multi-channel, has its channels last, or has another type or range.
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
    if not (low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT):  # the comparison also rejects NaN
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
    """Return the file name in the meta data of an image, or `image`."""
    name = image.meta.get("filename_or_obj") if isinstance(image, MetaTensor) else None
    return str(name) if name else "image"


def unit_intensity(rgb: torch.Tensor) -> torch.Tensor:
    """Convert intensities to float in [0, 1]: float64 stays float64, all other types become float32."""
    if rgb.dtype == torch.uint8:
        return rgb.float().div_(255)
    return rgb if rgb.dtype == torch.float64 else rgb.float()


def as_dtype(intensity: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Invert `unit_intensity`: clamp to [0, 1] and, for uint8, round to the nearest level."""
    intensity = intensity.clamp(0, 1)
    return intensity.mul(255).round().to(torch.uint8) if dtype == torch.uint8 else intensity.to(dtype)


def optical_density(rgb: torch.Tensor) -> torch.Tensor:
    """Return the Beer–Lambert optical density −ln(intensity), with intensities clamped to at least 1/255.

    Args:
        rgb: intensities of any shape, uint8 or float in [0, 1].

    Returns:
        optical density of the same shape, float; 0 for white, ln 255 = 5.54 for black.

    >>> optical_density(torch.tensor([0, 255], dtype=torch.uint8)).abs()
    tensor([5.5413, 0.0000])
    """
    return unit_intensity(rgb).clamp(min=1 / 255).log().neg_()


def tissue_mask(rgb: torch.Tensor, lightness: float = TISSUE_LIGHTNESS) -> torch.Tensor:
    """Return the mask of tissue, which is darker than the glass: its CIELAB lightness is below a threshold.

    L* depends only on the luminance. The function converts the threshold to luminance instead of the image to CIELAB.

    Args:
        rgb: sRGB image (3, ...), uint8 or float in [0, 1].
        lightness: threshold, from 0 to 100.

    Returns:
        boolean mask (...).
    """
    intensity = unit_intensity(rgb)
    linear = torch.where(intensity <= 0.04045, intensity / 12.92, ((intensity + 0.055) / 1.055) ** 2.4)
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return luminance < ((lightness + 16) / 116) ** 3


def concentrations(density: torch.Tensor, matrix: torch.Tensor, penalty: float) -> torch.Tensor:
    """Return non-negative sparse stain concentrations, computed in closed form.

    They minimise ½‖d − Wᵀh‖² + penalty·(h₁ + h₂) over h ≥ 0 for every colour d. With G = WWᵀ and b = Wd − penalty, the
    unconstrained minimum is G⁻¹b. A stain that is negative in this minimum is set to 0, and the other stain takes its
    one-dimensional minimum. For G₁₂ ≥ 0, hᵢ = max(0, (bᵢ − G₁₂·max(0, (G⁻¹b)ⱼ)) / Gᵢᵢ) covers all cases.

    Args:
        density: optical density (3, P).
        matrix: stain matrix W (2, 3), one stain in each row, non-negative.
        penalty: weight of the sum of the concentrations, at least 0.

    Returns:
        concentrations (2, P) with the type of `density`; never negative, never NaN for finite input.

    Raises:
        ValueError: the matrix is not (2, 3), or its stains are at an obtuse angle.

    References:
        Vahadane et al., Structure-Preserving Color Normalization and Sparse Stain Separation for Histological Images,
        2016, equation 4 with W fixed.
    """
    matrix = matrix.to(density)
    _check_matrix(matrix)
    return non_negative(density, matrix, penalty)


def non_negative(density: torch.Tensor, matrix: torch.Tensor, penalty: float) -> torch.Tensor:
    """Return `concentrations` for a matrix (2, 3) of non-negative stains; `torch.jit.script` takes this function."""
    norms, overlap, free = _separation(matrix)
    projection = (matrix @ density).sub_(penalty)  # (2, P)
    other = (free @ projection).relu_()  # row i holds the unconstrained minimum of the other stain
    return projection.addcmul_(other, -overlap.expand_as(norms)).div_(norms).relu_()


def _check_matrix(matrix: torch.Tensor) -> None:
    if matrix.shape != (2, 3):
        raise ValueError(f"a stain matrix is (2, 3), one stain in each row; got {list(matrix.shape)}")
    overlap = float(matrix[0] @ matrix[1])
    if overlap < 0:
        raise ValueError(f"the stains are at an obtuse angle (inner product {overlap:.3g}); give non-negative stains")


def _separation(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the squared norms (2, 1) and the inner product of two stains, and the swapped rows (2, 2) of G⁻¹."""
    gram = matrix @ matrix.T
    overlap = gram[0, 1]
    norms = gram.diagonal().unsqueeze(1)
    # Parallel stains have no unique solution; the bound assigns everything to the stain that explains more.
    determinant = (norms.prod() - overlap**2).clamp(min=1e-12)
    adjugate = torch.stack([torch.stack([gram[1, 1], -overlap]), torch.stack([-overlap, gram[0, 0]])])
    return norms, overlap, adjugate.flip(0) / determinant


def transfer_stains(
    rgb: torch.Tensor, source: torch.Tensor, target: torch.Tensor, gain: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Separate an image by one stain matrix and recombine it by another.

    Invariant: white stays white, and every colour of the result lies in the plane of the target's two stains. If the
    input lies in this plane and source = target, gain = 1, penalty = 0, the result equals the input up to rounding.

    Args:
        rgb: image (3, ...), uint8 or float in [0, 1].
        source: stain matrix (2, 3) of the image.
        target: stain matrix (2, 3) of the result.
        gain: factors (2,) on the concentrations.
        penalty: weight of the sum of the concentrations, at least 0, see `concentrations`.

    Returns:
        image with the shape and type of `rgb`, rounded (not truncated) for uint8.
    """
    if native_image(rgb):
        _check_matrix(source)
        norms, overlap, free = _separation(source.cpu().float())
        levels = optical_density(torch.arange(256, dtype=torch.uint8, device="cpu"))
        mixing = (target * gain.unsqueeze(1)).T
        native = native_transfer(
            rgb, levels, source=source, free=free, norms=norms, mixing=mixing, overlap=float(overlap), penalty=penalty
        )
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
    """Change the concentration h of each stain to max(0, scale·h + shift), and keep the residual of the separation.

    Invariant: scale = 1 with shift = 0 is the identity for every matrix.

    Args:
        rgb: image (3, ...), uint8 or float in [0, 1].
        matrix: stain matrix (2, 3) of the image.
        scale: factors (2,) on the concentrations.
        shift: offsets (2,) of the concentrations in their units; a positive offset also tints the empty glass.
        penalty: weight of the sum of the concentrations, at least 0, see `concentrations`.

    Returns:
        image with the shape and type of `rgb`, rounded (not truncated) for uint8.
    """

    def jitter(block: torch.Tensor) -> torch.Tensor:
        amount = concentrations(optical_density(block), matrix, penalty)
        factor, offset = scale.to(amount).unsqueeze(1), shift.to(amount).unsqueeze(1)
        change = (factor * amount + offset).relu_() - amount
        return as_dtype(unit_intensity(block) * (matrix.to(amount).T @ change).neg_().exp_(), block.dtype)

    return _blockwise(jitter, rgb, 3, rgb.dtype)


def haematoxylin_density(rgb: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return the optical density of haematoxylin in an image that is separated into two known stains.

    Invariant: 0 for white; proportional to the optical density of pure haematoxylin.

    Args:
        rgb: image (3, ...), uint8 or float in [0, 1].
        matrix: stain matrix (2, 3), haematoxylin first.

    Returns:
        optical density (1, ...), float, at least 0.
    """

    def amount(block: torch.Tensor) -> torch.Tensor:
        return concentrations(optical_density(block), matrix, 0.0)[:1]

    return _blockwise(amount, rgb, 1, torch.float64 if rgb.dtype == torch.float64 else torch.float32)


def _blockwise(
    function: Callable[[torch.Tensor], torch.Tensor], rgb: torch.Tensor, channels: int, dtype: torch.dtype
) -> torch.Tensor:
    """Map pixels (3, ...) to (channels, ...) in blocks that fit the cache of a CPU; a GPU processes all at once."""
    pixels = rgb.reshape(3, -1)
    result = pixels.new_empty((channels, pixels.shape[1]), dtype=dtype)
    size = BLOCK if rgb.device.type == "cpu" else max(pixels.shape[1], 1)
    for start in range(0, pixels.shape[1], size):
        result[:, start : start + size] = function(pixels[:, start : start + size])
    return result.reshape(channels, *rgb.shape[1:])
