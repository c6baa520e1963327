"""What the tests of layers over scale groups share."""

import torch
from torch.nn import functional as F


def maps_for(layer, channels=3, size=(13, 17), batch=2):
    """As many maps as the layer takes for a batch of images."""
    maps = batch if layer.lifting else batch * layer.num_scales
    return torch.randn(maps, channels, *size).contiguous(memory_format=torch.channels_last)


def outputs_and_gradients(forward, x, *parameters):
    """Output, gradient of x and of the parameters."""
    x = x.clone().requires_grad_()
    y = forward(x)
    weight = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad((weight * y).sum(), [x, *parameters])]


def assert_same(found, expected, bound):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= bound * max(1.0, float(other.abs().max()))


def assert_is_the_definition(layer, x, basis, parameter, coefficients):
    """Before and after training, every form of a layer is one dense convolution for each group.

    Its filters are of the basis (S, F, taps, taps) and of the coefficients (O, I, F) of the parameter.
    """

    def definition(x):
        weights = torch.einsum("oif,sfyx->soiyx", coefficients(parameter), basis)
        groups = [x] * layer.num_scales if layer.lifting else x.chunk(layer.num_scales)
        pairs = zip(groups, weights, strict=True)
        return torch.cat([F.conv2d(group, weight, padding=weight.shape[-1] // 2) for group, weight in pairs])

    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(3):
        expected = outputs_and_gradients(definition, x, parameter)
        for form in (layer, layer.forward_dense, layer.forward_filter_bank):
            assert_same(outputs_and_gradients(form, x, parameter), expected, 1e-10)
        with torch.no_grad():
            assert_same([layer(x)], expected[:1], 1e-10)
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()


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
