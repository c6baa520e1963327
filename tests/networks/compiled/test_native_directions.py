"""Directions by the native kernels, forward and in training: those of the torch form."""

import copy

import pytest
import torch
from direction_networks import CLASSES, drawn
from native_networks import relative_error
from native_steps import assert_native_step, errors, step
from network_checks import image

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks.compiled.network import native_network

pytestmark = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@torch.no_grad()
@pytest.mark.parametrize("name", ["seunet", "doubled image"])
@pytest.mark.parametrize("folded", [False, True])
def test_native_kernels_give_the_same(name, folded):
    exact = drawn(name)
    net = copy.deepcopy(exact).float()
    net = net.folded() if folded else net
    for x in (image(), image(33, 70)):
        with torch_form():
            reference = exact.outputs(x)
        assert native_network(net, net.octaves, x.float()) is not None
        found = net.outputs(x.float())
        assert relative_error(found[:, :, :CLASSES], reference[:, :, :CLASSES]) < 1e-5
        assert relative_error(found[:, :, CLASSES:], reference[:, :, CLASSES:]) < 1e-5
        torch.testing.assert_close(net.foreground(x.float())[:, :, -2:], found[:, :, CLASSES:], rtol=0, atol=1e-5)
    exact.head.weight[-1] *= 1.01
    with torch_form():
        changed = exact.outputs(x)
    assert relative_error(found[:, :, CLASSES:], changed[:, :, CLASSES:]) > 1e-4, "the control: the last head counts"


@torch.no_grad()
@pytest.mark.parametrize("name", ["p4", "p4m"])
def test_two_heads_give_the_same_with_the_native_library(name):
    exact = drawn(name)
    net, x = copy.deepcopy(exact).float(), image()
    with torch_form():
        reference = exact.outputs(x)
    for one in (net, net.folded()):
        assert relative_error(one.outputs(x.float()), reference) < 1e-5


@pytest.mark.parametrize("name", ["seunet", "doubled image"])
def test_a_native_training_step_is_that_of_the_torch_form(name):
    net, x = drawn(name).train().float(), image(32, 48).float()
    reference = assert_native_step(net, x)
    assert {"head.weight", "head.bias", "directions"} <= reference.keys()
    with torch.no_grad():
        net.head.weight[-1] += 0.01
    found = errors(step(net, x, natively=True), reference)
    assert found["directions"] > 1e-4 and found["classes"] < 1e-4, "the control: another head is seen"
