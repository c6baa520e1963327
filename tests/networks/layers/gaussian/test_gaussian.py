"""One-dimensional Gaussian derivative kernels."""

import math

import numpy as np
import pytest
import torch
from scipy.special import eval_hermitenorm

from monai_seunet.networks.layers.gaussian.kernels import (
    gaussian_derivative_kernels,
    gaussian_derivative_kernels_grad,
    support_radius,
)

SIGMAS = torch.tensor([0.3, 0.75, 1.25, 2.0, 4.4], dtype=torch.float64)


def reference_kernel(sigma: float, order: int, radius: int, truncation: float) -> np.ndarray:
    """The definition in numpy, tap by tap."""
    taps = np.zeros(2 * radius + 1)
    reach = max(1, math.ceil(truncation * sigma))
    norm = sum(math.exp(-0.5 * (x / sigma) ** 2) for x in range(-reach, reach + 1))
    for x in range(-reach, reach + 1):
        hermite = eval_hermitenorm(order, x / sigma)
        taps[x + radius] = (-1) ** order * hermite * math.exp(-0.5 * (x / sigma) ** 2) / norm
    return taps


@pytest.mark.parametrize("order", range(5))
@pytest.mark.parametrize("truncation", [2.0, 4.0])
def test_kernels_equal_their_definition(order, truncation):
    radius = support_radius(float(SIGMAS.max()), truncation) + 1
    kernels = gaussian_derivative_kernels(SIGMAS, order, radius, truncation)
    for k, sigma in enumerate(SIGMAS.tolist()):
        expected = reference_kernel(sigma, order, radius, truncation)
        np.testing.assert_allclose(kernels[order, k].numpy(), expected, atol=1e-14)


def test_first_order_is_minus_x_over_sigma_times_the_gaussian():
    kernels = gaussian_derivative_kernels(SIGMAS, 1, 9)
    x = torch.arange(-9, 10, dtype=torch.float64)
    torch.testing.assert_close(kernels[1], -x / SIGMAS[:, None] * kernels[0], atol=1e-15, rtol=0)


def test_order_zero_sums_to_one_and_parity_alternates():
    kernels = gaussian_derivative_kernels(SIGMAS, 4, 10)
    torch.testing.assert_close(kernels[0].sum(-1), torch.ones_like(SIGMAS))
    for n in range(5):
        torch.testing.assert_close(kernels[n].flip(-1), (-1) ** n * kernels[n])
    assert not torch.allclose(kernels[1].flip(-1), kernels[1])


@pytest.mark.parametrize(("sigma", "taps"), [(0.01, 3), (0.5, 3), (1.0, 5), (1.5, 7), (2.0, 9), (2.5, 11), (4.5, 19)])
def test_taps_follow_equation_7(sigma, taps):
    assert 2 * support_radius(sigma) + 1 == taps


@pytest.mark.parametrize("order", range(5))
def test_closed_form_gradient_equals_autograd(order):
    sigma = SIGMAS.clone().requires_grad_()
    kernels = gaussian_derivative_kernels(sigma, order, 9)
    closed = gaussian_derivative_kernels_grad(SIGMAS, order, 9)
    for index in np.ndindex(kernels.shape[0], kernels.shape[2]):
        (slope,) = torch.autograd.grad(kernels[index[0], :, index[1]].sum(), sigma, retain_graph=True)
        torch.testing.assert_close(closed[index[0], :, index[1]], slope, atol=1e-12, rtol=1e-12)


def test_tiny_sigma_gives_a_delta_and_no_nan():
    sigma = torch.tensor([0.05])
    for kernels in (gaussian_derivative_kernels(sigma, 4, 3), gaussian_derivative_kernels_grad(sigma, 4, 3)):
        assert torch.isfinite(kernels).all()
    assert gaussian_derivative_kernels(sigma, 0, 1)[0, 0].tolist() == [0, 1, 0]
