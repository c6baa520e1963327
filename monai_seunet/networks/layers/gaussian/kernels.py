r"""One-dimensional Gaussian derivative kernels, sampled, truncated and scale-normalised.

The kernel of order n is $K_n(x) = \sigma^n g^{(n)}(x) = (-1)^n He_n(x/\sigma)\, g(x)$, with the probabilists' Hermite
polynomials $He_n$ and the sampled Gaussian g, which is zero outside the support and has the sum 1. The gradient treats
the support as a constant.
"""

from __future__ import annotations

import math

import torch


def support_radius(sigma: float, truncation: float = 2.0) -> int:
    """Return the radius of the kernels in pixels: max(1, ceil(truncation * sigma)).

    With the truncation 2, the kernel has 2 * ceil(2 * sigma) + 1 taps (eq. 7 of the SEUNet paper).

    >>> support_radius(1.2)
    3
    """
    return max(1, math.ceil(truncation * sigma))


def gaussian_derivative_kernels(sigma: torch.Tensor, order: int, radius: int, truncation: float = 2.0) -> torch.Tensor:
    """Sample the kernels of order 0 to `order` at every scale.

    Invariant: the sum of order 0 is 1. A flip of the kernel of order n multiplies it by (-1)^n.

    Args:
        sigma: positive scales (S,) in pixels.
        order: highest order of the derivatives.
        radius: common radius r of all kernels; zeros pad kernels with a smaller support.
        truncation: radius of the support in units of sigma.

    Returns:
        Kernels (order + 1, S, 2r + 1), in the dtype of `sigma`.
    """
    z, gauss = _gaussian(sigma, radius, truncation)
    hermite = hermite_polynomials(z, order)
    return torch.stack([(-1) ** n * hermite[n] * gauss for n in range(order + 1)])


def gaussian_derivative_kernels_grad(
    sigma: torch.Tensor, order: int, radius: int, truncation: float = 2.0
) -> torch.Tensor:
    r"""Return the derivative of every kernel value by its sigma, in closed form.

    $\partial K_n/\partial\sigma = (K_{n+2} + (n + 1 - m) K_n) / \sigma$ where $m = \sum_x (x/\sigma)^2 g(x)$ is the
    second moment of the sampled Gaussian. Without truncation, m = 1, and this is the diffusion equation.

    See `gaussian_derivative_kernels` for arguments and shapes.
    """
    z, gauss = _gaussian(sigma, radius, truncation)
    moment = (z.square() * gauss).sum(-1, keepdim=True)
    hermite = hermite_polynomials(z, order + 2)
    slopes = [(-1) ** n * (hermite[n + 2] + (n + 1 - moment) * hermite[n]) for n in range(order + 1)]
    return torch.stack(slopes) * gauss / sigma[:, None]


def _gaussian(sigma: torch.Tensor, radius: int, truncation: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return positions in units of sigma and normalised samples, both (S, 2r + 1)."""
    x = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    support = (truncation * sigma.detach()).ceil().clamp(min=1.0)
    z = x / sigma[:, None]
    gauss = torch.exp(-0.5 * z.square()) * (x.abs() <= support[:, None])
    return z, gauss / gauss.sum(-1, keepdim=True)


def hermite_polynomials(z: torch.Tensor, order: int) -> list[torch.Tensor]:
    """Return probabilists' Hermite polynomials He_0 to He_order, by their recurrence."""
    polynomials = [torch.ones_like(z), z]
    for n in range(1, order):
        polynomials.append(z * polynomials[n] - n * polynomials[n - 1])
    return polynomials[: order + 1]
