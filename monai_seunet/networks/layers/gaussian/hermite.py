r"""Basis functions of scale-equivariant steerable networks: Hermite polynomials times Gaussians, on the pixel grid.

The 2-D function of orders (i, j) at scale s is the product of two 1-D kernels,

    psi_ij(x, y) = K_i(x) K_j(y),   K_n(x) = He_n(x / s) exp(-x^2 / 2 s^2) / (s |K_n at the smallest scale|)

with norm 1 at the smallest scale, and with the same integral of the absolute value at all scales before sampling.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from monai_seunet.networks.layers.gaussian.kernels import hermite_polynomials
from monai_seunet.utils.errors import InputError


def support_radii(scales: Sequence[float], kernel_size: int) -> list[int]:
    """Return the radius of the filters in pixels, in proportion to the scale, with `kernel_size` taps at the largest.

    11 taps and the scales 1 to 5 give 3, 5, 7, 9 and 11 taps, as in the official code.

    Raises:
        InputError: the scales are not positive and rising, or the size is even or below 3.

    >>> support_radii([1, 2, 3, 4, 5], kernel_size=11)
    [1, 2, 3, 4, 5]
    """
    rising = all(before < after for before, after in zip([0.0, *scales], scales, strict=False))
    if not scales or not rising:
        raise InputError(f"scales are {list(scales)}; give positive numbers, rising")
    if kernel_size < 3 or kernel_size % 2 == 0:
        raise InputError(f"kernel_size is {kernel_size}; give an odd number of taps, 3 or more")
    return [max(1, int(kernel_size * scale / scales[-1]) // 2) for scale in scales]


def hermite_gaussian_kernels(scales: Sequence[float], order: int, radii: Sequence[int]) -> torch.Tensor:
    """Sample the 1-D kernels of order 0 to `order` at every scale.

    Args:
        scales: standard deviations of the Gaussians in pixels, the smallest first.
        order: highest order of the polynomials.
        radii: radius of the support at every scale; the kernel is zero outside.

    Returns:
        Kernels (order + 1, S, 2 * max(radii) + 1), float64.

    Raises:
        InputError: a kernel is zero at the smallest scale, so it cannot be normalised.
    """
    widest = max(radii)
    x = torch.arange(-widest, widest + 1, dtype=torch.float64)
    scale = torch.tensor(scales, dtype=torch.float64)[:, None]
    inside = x.abs() <= torch.tensor(radii)[:, None]
    gauss = torch.exp(-0.5 * (x / scale).square()) / scale * inside
    kernels = torch.stack(hermite_polynomials(x / scale, order)) * gauss
    norm = kernels[:, :1].norm(dim=-1, keepdim=True)
    if norm.min() < 1e-6:
        raise InputError(f"at the smallest scale {scales[0]} a function of order up to {order} vanishes on the pixels")
    return kernels / norm
