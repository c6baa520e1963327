"""Directions by the native kernels, forward and in training: those of the torch form."""

from __future__ import annotations

import copy

import pytest
import torch
from direction_networks import CLASSES, drawn, image
from native_networks import relative_error
from native_steps import errors, step

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks.compiled.network import native_network
from monai_seunet.networks.unet.skeleton import UNetSkeleton

native_only = pytest.mark.skipif(library() is None, reason="no native library for this machine")


@native_only
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


@native_only
@torch.no_grad()
@pytest.mark.parametrize("name", ["p4", "p4m"])
def test_two_heads_give_the_same_with_the_native_library(name):
    exact = drawn(name)
    net, x = copy.deepcopy(exact).float(), image()
    with torch_form():
        reference = exact.outputs(x)
    for one in (net, net.folded()):
        assert relative_error(one.outputs(x.float()), reference) < 1e-5


def step_of_parts(net: UNetSkeleton, x: torch.Tensor, natively: bool) -> dict[str, torch.Tensor]:
    """What `step` gives, with the outputs divided."""
    found = step(net, x, natively)
    outputs = found.pop("outputs")
    return found | {"classes": outputs[:, :, :CLASSES], "directions": outputs[:, :, CLASSES:]}


@native_only
@pytest.mark.parametrize("name", ["seunet", "doubled image"])
def test_a_native_training_step_is_that_of_the_torch_form(name):
    exact, x = drawn(name).train(), image(32, 48)
    net = copy.deepcopy(exact).float()
    changed = copy.deepcopy(net)
    reference = step_of_parts(exact, x, natively=False)
    in_torch = errors(step_of_parts(copy.deepcopy(net), x.float(), natively=False), reference)
    native = errors(step_of_parts(net, x.float(), natively=True), reference)
    assert {"head.weight", "head.bias", "directions"} <= native.keys()
    for name, error in native.items():
        assert error < max(1e-5, 4 * in_torch[name]), f"{name}: {error:.2g}, in torch {in_torch[name]:.2g}"
    with torch.no_grad():
        changed.head.weight[-1] += 0.01
    found = errors(step_of_parts(changed, x.float(), natively=True), reference)
    assert found["directions"] > 1e-4 and found["classes"] < 1e-4, "the control: another head is seen"
