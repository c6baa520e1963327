r"""Group convolution by a Fourier transform over the orientations, which needs fewer products.

The input has one map $x_g$ for each orientation g, and the filter has one part $w_t$ for each orientation t. The
neighbourhood of a pixel p in orientation g is $V_g[z] = x_g(p + gz)$, where z is a tap. The moved filter is
$\omega_t[z] = w_t(tz)$. The group convolution is then the sum $y_h = \sum_g \omega_{h^{-1}g} V_g$, a convolution over
the group. A real representation $\rho$ of the group replaces this sum by the product $\hat y = \hat V \hat\omega$ of
$\hat V = \sum_g V_g \rho(g)$ and $\hat\omega = \sum_t \omega_t \rho(t)^T$.

A character is a representation of dimension one. For one tap and one pair of channels of p4, 6 products replace 16: one
for each of two characters, and four for the turns as complex numbers. For p4m, 12 products replace 64: one for each of
four characters, and eight for the 2 x 2 matrices.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from monai_seunet.networks.layers.rotation.point_group import (
    PointGroup,
    one_dimensional_characters,
    standard_representation,
)

_CHUNK_PIXELS = 256  # number of pixels whose neighbourhoods are in memory at once; they fit in the cache of a core


class Spectrum(NamedTuple):
    """A filter in the Fourier domain, as right factors of matrix products.

    Attributes:
        characters: matrices (n, k * k * I, O) of the one-dimensional representations.
        standard: matrix (2 * k * k * I, 2 * O) of the two-dimensional representation.
    """

    characters: torch.Tensor
    standard: torch.Tensor


def to_spectrum(weight: torch.Tensor, group: PointGroup) -> Spectrum:
    """Transform a filter (O, I, R, k, k)."""
    taps, channels_out, channels_in = weight.shape[-1] ** 2, weight.shape[0], weight.shape[1]
    moved = weight.flatten(2)[:, :, _orbits(group, weight.shape[-1]).flatten()].view(*weight.shape[:3], taps)
    character, standard = (part.to(weight) for part in _representations(group))
    return Spectrum(
        torch.einsum("nt,oitz->nzio", character, moved).reshape(-1, taps * channels_in, channels_out),
        torch.einsum("tcb,oitz->bzico", standard, moved).reshape(2 * taps * channels_in, 2 * channels_out),
    )


def from_spectrum_grad(grad: Spectrum, weight: torch.Tensor, group: PointGroup) -> torch.Tensor:
    """Return the gradient of the filter from the gradient of its spectrum, by the adjoint of `to_spectrum`."""
    size, channels_out, channels_in = weight.shape[-1], weight.shape[0], weight.shape[1]
    character, standard = (part.to(weight) for part in _representations(group))
    characters = grad.characters.view(-1, size * size, channels_in, channels_out)
    moved = torch.einsum("nt,nzio->oitz", character, characters)
    moved += torch.einsum("tcb,bzico->oitz", standard, grad.standard.view(2, size * size, channels_in, 2, channels_out))
    result = torch.empty_like(moved).flatten(2)
    result[:, :, _orbits(group, size).flatten()] = moved.flatten(2)
    return result.view(weight.shape)


def adjoint_filter(weight: torch.Tensor, group: PointGroup) -> torch.Tensor:
    """Return the filter (I, O, R, k, k) of the adjoint of a group convolution with the filter (O, I, R, k, k)."""
    flipped = weight.flip(-2, -1).transpose(0, 1)
    return torch.stack([group.act(t, flipped[:, :, group.inverse(t)]) for t in range(group.order)], dim=2)


def fourier_conv(x: torch.Tensor, spectrum: Spectrum, group: PointGroup, kernel_size: int) -> torch.Tensor:
    """Apply a group convolution with zero padding that keeps the size.

    Args:
        x: map (B, R * I, H, W).
        spectrum: spectrum of the filter.
        group: group p4 or p4m.
        kernel_size: number of taps k, odd.

    Returns:
        Map (B, R * O, H, W) in channels_last.
    """
    batch, _, height, width = x.shape
    y = x.new_empty(batch, height, width, group.order, spectrum.characters.shape[-1])
    back = _inverse_transform(group).to(x)
    for image, rows, transformed in _transformed_neighbourhoods(x, group, kernel_size):
        product = _multiply(transformed, spectrum)
        mixed = (back @ product.flatten(1)).view(group.order, -1, width, y.shape[-1])
        y[image, rows] = mixed.permute(1, 2, 0, 3)
    return y.view(batch, height, width, -1).permute(0, 3, 1, 2)


class GroupFourierConv(torch.autograd.Function):
    """`fourier_conv` with an explicit gradient by two more group convolutions, which needs only x and the weight."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, group: PointGroup) -> torch.Tensor:
        """Filter x (B, R * I, H, W) by weight (O, I, R, k, k)."""
        ctx.save_for_backward(x, weight)
        ctx.group = group
        return fourier_conv(x, to_spectrum(weight, group), group, weight.shape[-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x and weight."""
        x, weight = ctx.saved_tensors
        group, size = ctx.group, weight.shape[-1]
        grad_x, grad_weight = None, None
        if ctx.needs_input_grad[0]:
            grad_x = fourier_conv(grad, to_spectrum(adjoint_filter(weight, group), group), group, size)
        if ctx.needs_input_grad[1]:
            grad_weight = from_spectrum_grad(_spectrum_grad(x, grad, weight, group), weight, group)
        return grad_x, grad_weight, None


def _spectrum_grad(x: torch.Tensor, grad: torch.Tensor, weight: torch.Tensor, group: PointGroup) -> Spectrum:
    """Return the gradient of the filter's spectrum: transformed neighbourhoods times transformed gradients."""
    shape = to_spectrum(weight.new_empty(weight.shape), group)
    total = Spectrum(torch.zeros_like(shape.characters), torch.zeros_like(shape.standard))
    channels, count = weight.shape[0], len(total.characters)
    half = len(total.standard) // 2
    back = _inverse_transform(group).to(x).t()
    pixels = grad.permute(0, 2, 3, 1).unflatten(-1, (group.order, channels))
    for image, rows, transformed in _transformed_neighbourhoods(x, group, weight.shape[-1]):
        chunk = pixels[image, rows].permute(2, 0, 1, 3).reshape(group.order, -1)
        product = (back @ chunk).view(group.order, -1, channels)
        total.characters.baddbmm_(transformed[:count].transpose(1, 2), product[:count])
        by_row = product[count:].unflatten(0, (2, -1))
        both = by_row.permute(1, 2, 0, 3).reshape(-1, 2 * channels)  # (rows * pixels, 2 * O)
        columns = transformed[count:].unflatten(0, (2, -1)).flatten(1, 2)
        total.standard[:half].addmm_(columns[0].t(), both)
        total.standard[half:].addmm_(columns[1].t(), both)
    return total


def _multiply(transformed: torch.Tensor, spectrum: Spectrum) -> torch.Tensor:
    """Multiply (R, pixels, k * k * I) by a spectrum to (R, pixels, O), one representation after the other."""
    count, channels = len(spectrum.characters), spectrum.characters.shape[-1]
    half, pixels = len(spectrum.standard) // 2, transformed.shape[1]
    product = transformed.new_empty(len(transformed), pixels, channels)
    torch.bmm(transformed[:count], spectrum.characters, out=product[:count])
    columns = transformed[count:].unflatten(0, (2, -1)).flatten(1, 2)  # (2, rows * pixels, k * k * I)
    both = columns[0] @ spectrum.standard[:half]
    both.addmm_(columns[1], spectrum.standard[half:])
    product[count:].unflatten(0, (2, -1)).copy_(both.view(-1, pixels, 2, channels).permute(2, 0, 1, 3))
    return product


def _transformed_neighbourhoods(x: torch.Tensor, group: PointGroup, kernel_size: int) -> Any:
    """Yield an image index, rows, and the transformed neighbourhoods (R, pixels, k * k * I) of these rows."""
    batch, channels, height, width = x.shape
    margin = kernel_size // 2
    padded = x.new_zeros(batch, height + 2 * margin, width + 2 * margin, channels)
    padded[:, margin : margin + height, margin : margin + width] = x.permute(0, 2, 3, 1)
    flat = padded.view(batch, height + 2 * margin, -1)
    transform = _transform(group).to(x)
    step = max(1, _CHUNK_PIXELS // width)
    for image in range(batch):
        for top in range(0, height, step):
            rows = slice(top, min(height, top + step))
            count = rows.stop - rows.start
            index = _neighbours(group, kernel_size, count, width).to(x.device)
            maps = flat[image, top : top + count + 2 * margin].view(-1, channels // group.order)
            seen = maps.index_select(0, index)
            yield image, rows, (transform @ seen.view(group.order, -1)).view(group.order, count * width, -1)


@lru_cache(maxsize=64)
def _neighbours(group: PointGroup, kernel_size: int, rows: int, width: int) -> torch.Tensor:
    """Return the indices of V_g[z] of every pixel in padded rows, flat (R, rows, width, k * k)."""
    across = width + 2 * (kernel_size // 2)
    y, x = torch.arange(rows)[:, None, None], torch.arange(width)[None, :, None]
    orbits = _orbits(group, kernel_size) % kernel_size**2  # (R, k * k), the tap g z
    indices = [((y + o // kernel_size) * across + x + o % kernel_size) * group.order + g for g, o in enumerate(orbits)]
    return torch.stack(indices).flatten()


@cache
def _orbits(group: PointGroup, kernel_size: int) -> torch.Tensor:
    """Return the index of (t, t z) in a flattened (R, k, k) for every t and tap z: (R, k * k), a permutation."""
    taps = kernel_size**2
    grid = torch.arange(taps).view(kernel_size, kernel_size)
    return torch.stack([group.act(t, grid).flatten().argsort() + taps * t for t in range(group.order)])


@cache
def _representations(group: PointGroup) -> tuple[torch.Tensor, torch.Tensor]:
    return one_dimensional_characters(group), standard_representation(group)


@cache
def _transform(group: PointGroup) -> torch.Tensor:
    """Return the transform (R, R): characters, then entries of the 2 x 2 matrices; a turn needs only the first row."""
    character, standard = _representations(group)
    rows = 1 if group.name == "p4" else 2
    entries = standard[:, :rows].transpose(1, 2)  # by columns, so all rows use the same half of the spectrum
    return torch.cat([character, entries.flatten(1).t()])


@cache
def _inverse_transform(group: PointGroup) -> torch.Tensor:
    """Return the inverse transform: the transpose over the squared lengths of the orthogonal rows."""
    transform = _transform(group)
    return transform.t() / transform.square().sum(1)
