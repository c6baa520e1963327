"""What every layer over scale groups promises, whatever its filters."""

import pytest
import torch
from layer_checks import maps_for, outputs_and_gradients

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.layers.discrete.sesn import SESNConv2d
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import paper_bounds

LAYERS = {  # a layer of three scale groups by its channels
    "gaussian": lambda i, o: ScaleConv2d(i, o, paper_bounds(1, 3)),
    "sesn": lambda i, o: SESNConv2d(i, o, (1, 2, 3), 7),
    "disco": lambda i, o: DISCOConv2d(i, o, (1, 2, 3)),
}


@pytest.fixture(params=LAYERS)
def make(request):
    return LAYERS[request.param]


def test_groups_never_mix(make):
    layer = make(3, 4)
    x = maps_for(layer)
    changed = x.clone()
    changed[2:4] += 1  # the second group
    moved = (layer(changed) - layer(x)).abs().amax(dim=(1, 2, 3))
    assert (moved[[0, 1, 4, 5]] == 0).all() and (moved[2:4] > 0.01).all()


@pytest.mark.parametrize("channels", [3, 48])
def test_autocast_computes_in_low_precision_and_keeps_the_gradients_types(make, channels):
    layer = make(channels, channels)
    x = maps_for(layer, channels).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    y.float().square().mean().backward()
    assert {values.grad.dtype for values in (x, *layer.parameters())} == {torch.float32}
    exact = outputs_and_gradients(layer.double(), x.detach().double(), *layer.parameters())[0]
    assert (y.double() - exact).abs().max() < 0.05 * exact.abs().max()


def test_maps_that_are_no_whole_number_of_groups_are_refused(make):
    with pytest.raises(ValueError, match="4 maps do not divide into 3 scale groups"):
        make(3, 4)(torch.zeros(4, 3, 8, 8))


def test_reset_parameters_draws_the_filters_of_a_new_layer(make):
    layer = make(3, 4).eval()
    x = maps_for(layer)
    with torch.no_grad():
        before = layer(x)
        torch.manual_seed(1)
        layer.reset_parameters()
        after = layer(x)
        torch.manual_seed(1)
        assert torch.equal(make(3, 4).eval()(x), after)
    assert (after - before).abs().max() > 0.01
