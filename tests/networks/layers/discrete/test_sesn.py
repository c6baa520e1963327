"""The SESN layer: every way of computing it against its definition, its gradients, its laws."""

import numpy as np
import pytest
import torch
from layer_checks import assert_is_the_definition, assert_same, maps_for, outputs_and_gradients, zoom_errors
from scipy.special import eval_hermitenorm

from monai_seunet.networks.layers.discrete.sesn import SESNConv2d, dense_is_faster
from monai_seunet.networks.layers.gaussian.hermite import support_radii
from monai_seunet.utils.errors import InputError

pytestmark = pytest.mark.usefixtures("doubles")


def make_layer(way="chosen", channels=(5, 6), **options):
    layer = SESNConv2d(*channels, **options)
    if way != "chosen":
        layer.dense = [way == "dense"] * layer.num_scales
    return layer


def basis_of_the_paper(scales, order, size=11):
    """All functions at all scales on size x size pixels, (S, F, size, size), written out on the plane."""
    y, x = np.mgrid[-(size // 2) : size // 2 + 1, -(size // 2) : size // 2 + 1]
    bank = []
    for scale in scales:
        reach = int(size * scale / scales[-1]) // 2
        window = np.exp(-(x**2 + y**2) / (2 * scale**2)) / scale**2 * (np.maximum(abs(x), abs(y)) <= reach)
        orders = [(i, j) for j in range(order + 1) for i in range(order + 1 - j)]
        bank.append([window * eval_hermitenorm(i, x / scale) * eval_hermitenorm(j, y / scale) for i, j in orders])
    bank = np.array(bank)
    return torch.from_numpy(bank / np.sqrt((bank[:1] ** 2).sum((-1, -2), keepdims=True)))


@pytest.mark.parametrize("lifting", [False, True])
@pytest.mark.parametrize("order", [0, 1, 4])
@pytest.mark.parametrize("way", ["dense", "separable", "chosen"])
def test_it_is_the_definition_before_and_after_training(way, order, lifting):
    layer = make_layer(way, order=order, lifting=lifting)
    basis = basis_of_the_paper([1, 2, 3, 4, 5], order)
    assert_is_the_definition(layer, maps_for(layer, 5), basis, layer.alpha, lambda alpha: alpha.permute(1, 2, 0))


def test_the_cheaper_way_is_taken():
    """By the rule, wide layers are dense at few taps only, and what is chosen is still the definition."""
    assert make_layer(channels=(3, 12)).dense == [True] * 5
    layer = make_layer(channels=(48, 48))
    assert layer.dense == [True, True, False, False, False]
    assert not dense_is_faster(5, 4, 192, 192) and dense_is_faster(3, 4, 192, 192)
    x = maps_for(layer, 48, batch=1)
    chosen, dense = (outputs_and_gradients(form, x, layer.alpha) for form in (layer, layer.forward_dense))
    assert_same(chosen, dense, 1e-10)


@pytest.mark.parametrize("way", ["dense", "separable"])
def test_gradcheck(way):
    layer = make_layer(way, channels=(2, 2), scales=(1, 2), kernel_size=5, order=2)
    x = maps_for(layer, 2, (4, 5), 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, a: torch.func.functional_call(layer, {"alpha": a}, x), (x, layer.alpha))


def test_supports_and_norms():
    layer = make_layer()
    assert [f.shape[-1] for f in layer.dense_filters()] == [3, 5, 7, 9, 11]
    assert layer.alpha.shape[0] == 15
    norms = layer.basis.square().sum((-1, -2)).sqrt()  # (F, S)
    torch.testing.assert_close(norms[:, 0], torch.ones(15))
    assert (norms[0].diff() < 0).all()  # a wider Gaussian of the same integral has a smaller norm


def test_zoom_moves_a_group_onto_another():
    """Zoom by 2: the filters at scale 2 answer on the image as those at scale 4 on the enlarged one, others do not."""
    errors = torch.stack([zoom_errors(make_layer(channels=(3, 8), lifting=True), 2) for _ in range(4)]).mean(0)[1]
    assert errors[3] < 0.03 and int(errors.argmin()) == 3
    assert errors[1] > 4 * errors[3]


@pytest.mark.parametrize("change", [torch.Tensor.normal_, torch.Tensor.zero_])
def test_filters_are_expanded_once_per_weight(change, monkeypatch):
    layer, calls = make_layer("dense").eval(), []
    expand = layer.expand
    monkeypatch.setattr(layer, "expand", lambda k: calls.append(k) or expand(k))
    x = maps_for(layer, 5)
    with torch.no_grad():
        first = layer(x)
        assert layer(x).equal(first) and calls == [0, 1, 2, 3, 4]
        change(layer.alpha)
        assert (layer(x) - layer.forward_dense(x)).abs().max() < 1e-12 and not layer(x).equal(first)
        layer.float()
        assert layer(x.float()).dtype == torch.float32
    with torch.inference_mode():
        layer(x.float())
    layer(x.float()).sum().backward()
    assert layer.alpha.grad is not None


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match="order is -1"):
        make_layer(order=-1)
    for scales in ([], [2, 1], [1, 1], [0, 1]):
        with pytest.raises(InputError, match="give positive numbers, rising"):
            support_radii(scales, 11)
    with pytest.raises(InputError, match="kernel_size is 4"):
        make_layer(kernel_size=4)
    with pytest.raises(InputError, match="vanishes on the pixels"):
        make_layer(scales=(3**-0.5, 1), kernel_size=3)
