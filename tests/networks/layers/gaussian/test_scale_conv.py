"""The scale convolution: its fast form against the dense filter bank, its gradients, its laws."""

import numpy as np
import pytest
import torch
from layer_checks import assert_same, maps_for, outputs_and_gradients
from scipy.signal import correlate2d

from monai_seunet.networks.layers.gaussian.kernels import gaussian_derivative_kernels
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import paper_bounds
from monai_seunet.networks.layers.separable import basis_orders
from monai_seunet.networks.unet.parts import ConvNormAct

MODES = ["constrained", "fixed", "free"]
pytestmark = pytest.mark.usefixtures("doubles")


def make_layer(order=1, mode="constrained", lifting=False, recompute=False, num_scales=3, truncation=2.0):
    layer = ScaleConv2d(3, 4, paper_bounds(1, num_scales), order, mode, truncation, lifting, recompute).double()
    if mode != "fixed":
        layer.sigma.raw.data += 0.3 * torch.randn(num_scales)
    return layer


def trained_parameters(layer):
    return [p for p in layer.parameters() if p.requires_grad]


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("lifting", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(5))
def test_fast_form_equals_dense_form(order, mode, lifting, recompute):
    layer = make_layer(order, mode, lifting, recompute)
    x = maps_for(layer)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    for _ in range(3):
        fast = outputs_and_gradients(layer, x, *trained_parameters(layer))
        for reference in (layer.forward_dense, layer.forward_filter_bank):
            assert_same(fast, outputs_and_gradients(reference, x, *trained_parameters(layer)), 1e-12)
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()


def test_dense_form_equals_the_definition():
    """An independent computation: the filter written out and correlated by scipy."""
    layer, image = make_layer(order=2, lifting=True), np.random.default_rng(0).normal(size=(3, 9, 11))
    y = layer.forward_dense(torch.from_numpy(image)[None]).detach().numpy()
    for k, sigma in enumerate(layer.sigma().tolist()):
        radius = layer.sigma.radii(2.0)[k]
        kernel = gaussian_derivative_kernels(torch.tensor([sigma]), 2, radius)[:, 0].numpy()
        for o in range(4):
            total = np.zeros(image.shape[1:])
            for c in range(3):
                pairs = zip(layer.alpha[:, o, c].tolist(), basis_orders(2), strict=True)
                filters = sum(alpha * np.outer(kernel[j], kernel[i]) for alpha, (i, j) in pairs)
                total += correlate2d(image[c], filters, mode="same")
            np.testing.assert_allclose(y[k, o], total, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("recompute", [False, True])
def test_gradcheck(mode, recompute):
    layer = make_layer(order=1, mode=mode, recompute=recompute, num_scales=2)
    x = maps_for(layer, size=(4, 5), batch=1).requires_grad_()

    def run(x, *values):
        names = [name for name, p in layer.named_parameters() if p.requires_grad]
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *trained_parameters(layer)))


def test_the_gradient_of_sigma_needs_the_slope_of_the_kernel():
    """Negative control: with the kernels detached, sigma's gradient is zero and the comparison would break."""
    layer = make_layer()
    gradients = outputs_and_gradients(layer, maps_for(layer), *trained_parameters(layer))
    assert gradients[-2].abs().min() > 1e-3 and gradients[-1].abs().min() > 1e-3


def test_kernel_size_follows_sigma_while_it_trains():
    layer = make_layer(mode="free")
    layer.sigma.raw.data[:] = torch.tensor([-2.0, 0.0, 2.0])  # sigma 0.25, 1, 4
    assert [f.shape[-1] for f in layer.dense_filters()] == [3, 5, 17]
    radii = [k.shape[-1] // 2 for k in make_layer(truncation=4.0, mode="fixed").kernels()]
    assert radii == [3, 5, 7]


def test_commutes_with_shifts_away_from_the_border():
    layer = make_layer(lifting=True)
    x = maps_for(layer, size=(32, 32))
    y, shifted = layer(x), layer(x.roll((3, 5), dims=(2, 3)))
    error = (shifted - y.roll((3, 5), dims=(2, 3)))[..., 12:-12, 12:-12].abs().max()
    assert error < 1e-12
    assert (shifted - y)[..., 12:-12, 12:-12].abs().max() > 0.1


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="order is -1"):
        ScaleConv2d(3, 4, paper_bounds(0, 2), order=-1)


def test_a_filter_without_a_norm_is_left_as_it_is():
    layer = ConvNormAct(make_layer(), torch.nn.Identity(), torch.nn.ReLU()).eval()
    x = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        before = layer(x)
        layer.fold()
        torch.testing.assert_close(layer(x), before)
