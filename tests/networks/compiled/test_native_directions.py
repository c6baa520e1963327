"""Directions by the native kernels, forward and in training: those of the torch form."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from direction_networks import CLASSES, drawn, image

from monai_seunet.native.library import library, torch_form
from monai_seunet.networks.compiled.network import native_network
from monai_seunet.networks.unet.skeleton import UNetSkeleton

native_only = pytest.mark.skipif(library() is None, reason="no native library for this machine")


def relative_error(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y - reference).abs().max() / (reference - reference.mean()).abs().max())


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


def step(net: UNetSkeleton, x: torch.Tensor, natively: bool) -> dict[str, torch.Tensor]:
    """The outputs, all gradients and all running statistics of one step."""
    with nullcontext() if natively else torch_form():
        outputs = net.all_outputs(x)
    nodes = [outputs.grad_fn]
    while nodes and nodes[-1].name() != "_TrainBackward":
        nodes += [following for following, _ in nodes.pop().next_functions if following]
    assert bool(nodes) == natively
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    ((outputs * weights).sum() + (outputs.square() * weights.abs()).mean()).backward()
    found = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    found |= {name: buffer.clone() for name, buffer in net.named_buffers() if "running" in name}
    return found | {"classes": outputs[:, :, :CLASSES].detach(), "directions": outputs[:, :, CLASSES:].detach()}


def errors(found: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each, relative to its largest value, or a hundredth of the largest of its kind."""
    assert found.keys() == reference.keys()
    largest = {name: float(values.abs().max()) for name, values in reference.items()}
    kinds: dict[str, float] = {}
    for name, value in largest.items():
        kind = name.split(".")[-1]
        kinds[kind] = max(kinds.get(kind, 0), value)
    scale = {name: max(value, 0.01 * kinds[name.split(".")[-1]]) for name, value in largest.items()}
    return {name: float((found[name].double() - reference[name]).abs().max()) / scale[name] for name in reference}


@native_only
@pytest.mark.parametrize("name", ["seunet", "doubled image"])
def test_a_native_training_step_is_that_of_the_torch_form(name):
    exact, x = drawn(name).train(), image(32, 48)
    net = copy.deepcopy(exact).float()
    changed = copy.deepcopy(net)
    reference = step(exact, x, natively=False)
    in_torch = errors(step(copy.deepcopy(net), x.float(), natively=False), reference)
    native = errors(step(net, x.float(), natively=True), reference)
    assert {"head.weight", "head.bias", "directions"} <= native.keys()
    for name, error in native.items():
        assert error < max(1e-5, 4 * in_torch[name]), f"{name}: {error:.2g}, in torch {in_torch[name]:.2g}"
    with torch.no_grad():
        changed.head.weight[-1] += 0.01
    found = errors(step(changed, x.float(), natively=True), reference)
    assert found["directions"] > 1e-4 and found["classes"] < 1e-4, "the control: another head is seen"
