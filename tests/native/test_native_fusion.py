"""Fusion of scale groups by the native kernels: that of the torch form."""

import pytest
import torch
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from monai_seunet.fusion import confidence_nearby, fuse, group_weights, winning_scale
from monai_seunet.native.kernels import STRATEGIES, native_confidence, native_fuse
from monai_seunet.native.library import library, torch_form

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@pytest.mark.parametrize("shape", [(1, 2, 2, 300, 280), (2, 3, 3, 20, 1), (1, 1, 2, 1, 400), (1, 2, 2, 257, 258)])
@pytest.mark.parametrize("nearby", [0, 3, 128])
def test_confidence_is_that_of_the_torch_form(shape, nearby):
    probabilities = torch.randn(shape).mul(3).softmax(2)
    found = confidence_nearby(probabilities, nearby)
    with torch_form():
        expected = confidence_nearby(probabilities.double(), nearby)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    other = confidence_nearby(probabilities, nearby + 1)
    assert min(shape[3:]) < 3 or not torch.allclose(found, other, rtol=1e-6, atol=0)


def test_a_pixel_that_is_no_number_makes_no_other_one_none():
    probabilities = torch.rand(1, 1, 2, 40, 40)
    probabilities[..., 20, 20] = torch.nan
    with torch_form():
        expected = confidence_nearby(probabilities, 5)
    torch.testing.assert_close(confidence_nearby(probabilities, 5), expected)


def test_any_number_of_threads_gives_the_same_bits():
    probabilities, found = torch.rand(2, 3, 2, 60, 70), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        found.append(confidence_nearby(probabilities))
    assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "shape", [(1, 2, 2, 30, 28), (2, 5, 4, 9, 11), (1, 1, 2, 1, 1), (1, 6, 3, 700), (2, 8, 2, 3, 5, 7)]
)
def test_fusion_is_that_of_the_torch_form(strategy, shape):
    probabilities = torch.randn(shape).mul(3).softmax(2)
    weights = group_weights(probabilities, strategy)
    found, winner = fuse(probabilities, strategy, weights), winning_scale(probabilities, strategy, weights)
    double = probabilities.double(), None if weights is None else weights.double()
    with torch_form():
        expected = fuse(double[0], strategy, double[1])
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
        assert torch.equal(winner, winning_scale(probabilities, strategy, weights))
    torch.testing.assert_close(found.sum(1), torch.ones_like(found[:, 0]))
    others = [fuse(probabilities, other) for other in STRATEGIES if other != strategy]
    assert shape[1] == 1 or not any(torch.equal(found, other) for other in others)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weights_count_as_in_torch(strategy):
    probabilities, weights = torch.randn(1, 4, 3, 20, 21).softmax(2), torch.rand(1, 4, 20, 21)
    found, winner = fuse(probabilities, strategy, weights), winning_scale(probabilities, strategy, weights)
    with torch_form():
        torch.testing.assert_close(found, fuse(probabilities, strategy, weights))
        assert torch.equal(winner, winning_scale(probabilities, strategy, weights))
    assert not torch.equal(winner, winning_scale(probabilities, strategy, weights.flip(1)))


def test_tangents_batches_and_graphs_are_those_of_torch():
    probabilities, direction = torch.rand(1, 3, 2, 6, 7).softmax(2), torch.randn(1, 3, 2, 6, 7)
    with torch_form():
        expected = torch.func.jvp(lambda p: fuse(p, "p_power"), (probabilities,), (direction,))
    found = torch.func.jvp(lambda p: fuse(p, "p_power"), (probabilities,), (direction,))
    assert found[1].abs().max() > 0
    torch.testing.assert_close(found, expected)
    with forward_ad.dual_level():
        dual = fuse(forward_ad.make_dual(probabilities, direction), "p_power")
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, expected[1])
    together = torch.func.vmap(lambda p: fuse(p, "p_conf"))(probabilities[None])
    torch.testing.assert_close(together[0], fuse(probabilities, "p_conf"))
    graph = make_fx(lambda p: fuse(p, "p_ens"))(probabilities)
    torch.testing.assert_close(graph(probabilities.flip(1)), fuse(probabilities.flip(1), "p_ens"))


def test_negated_views_are_read_with_their_sign():
    probabilities = torch.rand(1, 3, 2, 6, 7).softmax(2)
    negated = torch._neg_view(-probabilities)
    torch.testing.assert_close(fuse(negated, "p_power"), fuse(probabilities, "p_power"))


def test_any_neighbourhood_is_allowed():
    probabilities = torch.rand(1, 2, 2, 9, 8).softmax(2)
    widest, whole = (confidence_nearby(probabilities, nearby, share=0.0) for nearby in (2**31 - 1, 9))
    torch.testing.assert_close(widest, whole)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_numbers_that_are_none_spread_as_in_torch(strategy):
    probabilities = torch.rand(1, 3, 2, 5, 41).softmax(2)
    probabilities[0, 1, 0, 2, 17] = probabilities[0, 2, 1, 4, 40] = torch.nan
    weights = torch.rand(1, 3, 5, 41) if strategy == "p_conf" else None
    found, winner = fuse(probabilities, strategy, weights), winning_scale(probabilities, strategy, weights)
    with torch_form():
        torch.testing.assert_close(found, fuse(probabilities, strategy, weights), equal_nan=True)
        assert torch.equal(winner, winning_scale(probabilities, strategy, weights))


def test_any_layout_is_fused():
    probabilities = torch.rand(2, 3, 2, 20, 30).softmax(2)
    apart = torch.empty(2, 30, 20, 2, 3).permute(0, 4, 3, 2, 1).copy_(probabilities)
    assert torch.equal(fuse(apart, "p_power"), fuse(probabilities, "p_power"))


def test_torch_computes_what_the_kernels_do_not():
    background = torch.rand(1, 2, 9, 8)
    assert native_confidence(background, 2, 0.6, 0.1) is not None
    assert native_confidence(background.mT, 2, 0.6, 0.1) is not None
    assert native_confidence(background[0], 2, 0.6, 0.1) is None
    assert native_confidence(background.double(), 2, 0.6, 0.1) is None
    with torch_form():
        assert native_confidence(background, 2, 0.6, 0.1) is None
    probabilities = torch.rand(1, 2, 2, 9, 8)
    assert native_fuse(probabilities, "p_ens", None) is not None
    assert native_fuse(probabilities, "p_median", None) is None
    assert native_fuse(probabilities[:, :, :1], "p_ens", None) is None
    assert native_fuse(probabilities, "p_conf", torch.rand(1, 2, 1, 1)) is None
    learning = probabilities.clone().requires_grad_()
    assert native_fuse(learning, "p_ens", None) is None
    with torch.no_grad():
        assert native_fuse(learning, "p_ens", None) is not None
