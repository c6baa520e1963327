"""What the tests of layers over scale groups share."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def outputs_and_gradients(forward, x, *parameters):
    """Output, gradient of x and of the parameters."""
    x = x.clone().requires_grad_()
    y = forward(x)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad((weight * y).sum(), [x, *parameters])]


def assert_same(found, expected, bound):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= bound * max(1.0, float(other.abs().max()))


def wide_filters(basis, parameter, x, num_scales, lifting):
    """Each group by one dense convolution with the bank (S, F, taps, taps) and the coefficients (O, I, F)."""
    weights = torch.einsum("oif,sfyx->soiyx", parameter, basis)
    groups = [x] * num_scales if lifting else x.chunk(num_scales)
    pairs = zip(groups, weights, strict=True)
    return torch.cat([F.conv2d(group, weight, padding=weight.shape[-1] // 2) for group, weight in pairs])


@torch.no_grad()
def zoom_errors(layer, ratio):
    """Relative squared errors (S, S): group i on an image against group j on the image enlarged, and brought back."""
    x = F.avg_pool2d(torch.rand(1, 3, 96, 96), 7, 1, 3)
    zoomed = F.interpolate(x, scale_factor=ratio, mode="bicubic", align_corners=False)
    y, z = layer(x), layer(zoomed)
    z = F.interpolate(z, size=(96, 96), mode="bicubic", align_corners=False, antialias=True)
    y, z = (m[..., 16:-16, 16:-16] for m in (y, z))
    y, z = (m - m.mean((2, 3), keepdim=True) for m in (y, z))  # all groups agree on flat areas
    return torch.stack([(y[i] - z).square().sum((1, 2, 3)) / y[i].square().sum() for i in range(len(y))])
