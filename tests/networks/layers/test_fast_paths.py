"""Layers of ours that compute what torch's do, faster: the same numbers and gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.narrow_norm import NarrowBatchNorm2d
from monai_seunet.networks.layers.sampling import BilinearUpsample2d


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 5)])
def test_upsampling_and_its_adjoint(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    fast, slow = BilinearUpsample2d()(x), F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    assert fast.equal(slow)
    weight = torch.randn_like(fast)
    (one,), (other,) = (torch.autograd.grad((weight * y).sum(), x) for y in (fast, slow))
    torch.testing.assert_close(one, other, atol=1e-14, rtol=0)
    assert torch.autograd.gradcheck(BilinearUpsample2d(), x)


@pytest.mark.parametrize("channels", [1, 5, 12, 16])
@pytest.mark.parametrize("size", [(4, 4), (3, 7)])
def test_narrow_norm_is_batch_norm(channels, size):
    ours, theirs = NarrowBatchNorm2d(channels).double(), nn.BatchNorm2d(channels).double()
    for norm in (ours, theirs):
        norm.weight.data, norm.bias.data = torch.linspace(1, 2, channels).double(), torch.arange(channels).double()
    for _ in range(3):
        x = (3 + 2 * torch.randn(4, channels, *size, dtype=torch.float64)).requires_grad_()
        weight = torch.randn_like(x)
        outcomes = []
        for norm in (ours, theirs):
            y = norm(x)
            outcomes.append([y, *torch.autograd.grad((weight * y).sum(), [x, norm.weight, norm.bias])])
        for one, other in zip(*outcomes, strict=True):
            torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-11)
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-12, rtol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-12, rtol=1e-12)


def test_narrow_norm_of_a_constant_map_is_finite():
    x = torch.full((2, 4, 8, 8), 123.0, requires_grad=True)
    y = NarrowBatchNorm2d(4)(x)
    y.square().sum().backward()
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all() and y.abs().max() < 0.5


@pytest.mark.parametrize(("mean", "deviation"), [(1, 0.01), (1, 0.001), (10, 0.01)])
def test_narrow_norm_keeps_its_digits_where_the_mean_is_large(mean, deviation):
    x = (mean + deviation * torch.randn(2, 8, 64, 64)).contiguous(memory_format=torch.channels_last)
    truth = nn.BatchNorm2d(8).double()(x.double())
    errors = [(norm(x).double() - truth).abs().max() for norm in (NarrowBatchNorm2d(8), nn.BatchNorm2d(8))]
    assert errors[0] <= 1.01 * errors[1]
