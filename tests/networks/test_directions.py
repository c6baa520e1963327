"""Directions to the centres of objects: they turn with the image as vectors, and come after the classes everywhere."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.fusion import fuse, fuse_directions, group_weights, winning_scale
from monai_seunet.native.library import library, torch_form
from monai_seunet.networks import PlainUNet, PyramidUNet, RotoScaleUNet, SEUNet, check_directions
from monai_seunet.networks.compiled.network import native_network
from monai_seunet.networks.layers.rotation.point_group import PointGroup, point_group
from monai_seunet.networks.layers.rotation.vector_head import VectorHead
from monai_seunet.networks.unet.skeleton import UNetSkeleton
from monai_seunet.utils.errors import InputError

CLASSES = 3
ROTO = {"num_levels": 2, "num_octaves": 3, "scales_per_octave": 1}
KINDS = {
    "seunet": (SEUNet, {"width": 12, "num_levels": 3, "num_octaves": 2, "scales_per_octave": 2}),
    "doubled image": (SEUNet, {"width": 8, "num_levels": 2, "num_octaves": 2, "scales_per_octave": 2}),
    "p4": (RotoScaleUNet, {**ROTO, "width": 3 * 8, "group": "p4"}),
    "p4m": (RotoScaleUNet, {**ROTO, "width": 3 * 16, "group": "p4m", "group_pooling": "mean"}),
    "pyramid": (PyramidUNet, {"width": 4, "num_levels": 3, "num_octaves": 2}),
    "plain": (PlainUNet, {"width": 6, "num_levels": 3}),
}
KINDS["doubled image"][1]["finest_octave"] = -1
WIDE = {  # enough features for some of each orientation to live
    "p4": {"width": 3 * 32},
    "p4m": {"width": 3 * 64, "group_pooling": "max"},
    "p4m, mean": {"width": 3 * 64},
}
GROUPED = [name for name in KINDS if name != "plain"]

native_only = pytest.mark.skipif(library() is None, reason="no native library for this machine")


def drawn(name: str, **options: object) -> UNetSkeleton:
    """A network in float64 and in evaluation mode, its weights and the statistics of its norms drawn at random."""
    kind, usual = KINDS[name]
    net = kind(**({"out_channels": CLASSES, "directions": True} | usual | options)).double()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.5)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.1, 0.8)
    return net.eval()


def image(height: int = 24, width: int = 40) -> torch.Tensor:
    """Detail of every size, so that no octave sees grey alone."""
    layers = [torch.randn(2, 3, -(-height // side), -(-width // side), dtype=torch.float64) for side in (1, 4, 16)]
    larger = [F.interpolate(x, scale_factor=side) for x, side in zip(layers, (1, 4, 16), strict=True)]
    return torch.stack([x[..., :height, :width] for x in larger]).sum(0)


def turned(symmetries: PointGroup, g: int, vectors: torch.Tensor) -> torch.Tensor:
    """An image of vectors (..., 2, H, W) by element g: its pixels move, and its vectors turn with them."""
    matrix = torch.tensor(symmetries.matrix(g), dtype=vectors.dtype)
    return torch.einsum("ij,...jhw->...ihw", matrix, symmetries.act(g, vectors))


def moved_outputs(net: UNetSkeleton, x: torch.Tensor, group: str) -> list[torch.Tensor]:
    """What a network gives for the image, moved by each element."""
    symmetries = point_group(group)
    return [net.outputs(symmetries.act(g, x)) for g in range(symmetries.order)]


def vector_errors(moved: list[torch.Tensor], group: str, as_vectors: bool = True) -> list[float]:
    """For each element but the identity, how far the directions are from turning with the image."""
    symmetries, directions = point_group(group), [outputs[..., CLASSES:, :, :] for outputs in moved]
    errors = []
    for g in range(1, symmetries.order):
        expected = turned(symmetries, g, directions[0]) if as_vectors else symmetries.act(g, directions[0])
        errors.append(float((directions[g] - expected).abs().max() / directions[0].abs().max()))
    return errors


@torch.no_grad()
@pytest.mark.parametrize("name", WIDE)
def test_directions_turn_with_the_image_as_vectors(name):
    group = name.split(",")[0]
    net, x = drawn(group, **WIDE[name]), image()
    symmetries, seen = point_group(group), []
    with net.head.register_forward_pre_hook(lambda _, features: seen.append(features[0])):
        directions = net.outputs(x)[:, :, CLASSES:]
    assert len(seen) == 3, "one map for each octave"
    for features in seen:
        alive = features.flatten(2).std(2).amin(0) > 1e-3
        assert alive.double().mean() > 0.5, "most features change over the image"
    assert (directions.flatten(3).std(3) > 1e-4).all()
    moved = moved_outputs(net, x, group)
    assert max(vector_errors(moved, group)) < 1e-12
    assert min(vector_errors(moved, group, as_vectors=False)) > 1e-2, "the control: the vectors have to turn"
    assert max(vector_errors(moved_outputs(net.folded(), x, group), group)) < 1e-12
    classes = [outputs[:, :, :CLASSES] for outputs in moved]
    for g in range(1, symmetries.order):
        error = (classes[g] - symmetries.act(g, classes[0])).abs().max()
        assert error < 1e-12 * classes[0].abs().max(), "the classes turn as an image"


@torch.no_grad()
@pytest.mark.parametrize("name", ["seunet", "plain"])
def test_directions_of_other_networks_do_not_turn(name):
    assert min(vector_errors(moved_outputs(drawn(name), image(), "p4m"), "p4m")) > 1e-2


@torch.no_grad()
def test_mirrors_are_no_symmetry_of_quarter_turns():
    errors = vector_errors(moved_outputs(drawn("p4", **WIDE["p4"]), image(), "p4m"), "p4m")
    assert max(errors[:3]) < 1e-12 and min(errors[3:]) > 1e-2


def test_directions_still_turn_after_training():
    net, x = drawn("p4m", **WIDE["p4m"]).train(), image(16, 16)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    for _ in range(2):
        optimizer.zero_grad()
        (net(x) - 1).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert max(vector_errors(moved_outputs(net.eval(), image(), "p4m"), "p4m")) < 1e-12


@torch.no_grad()
@pytest.mark.parametrize("group", ["p1", "p4", "p4m"])
def test_a_vector_head_is_the_mean_of_what_each_orientation_says_turned_back(group):
    symmetries = point_group(group)
    head, x = VectorHead(3 * symmetries.order, group).double(), torch.randn(2, 3 * symmetries.order, 5, 7).double()
    assert sum(weights.numel() for weights in head.parameters()) == 2 * 3
    expected = torch.zeros(2, 2, 5, 7, dtype=torch.float64)
    for g, maps in enumerate(x.split(3, dim=1)):
        matrix = torch.tensor(symmetries.matrix(g), dtype=torch.float64)
        said = torch.einsum("oi,bihw->bohw", head.vector.weight[:, :, 0, 0], maps)
        expected += torch.einsum("ij,bjhw->bihw", matrix, said) / symmetries.order
    torch.testing.assert_close(head(x), expected, rtol=0, atol=1e-14)


@torch.no_grad()
@pytest.mark.parametrize("group", ["p1", "p4", "p4m"])
def test_a_vector_head_turns_with_its_map(group):
    symmetries = point_group(group)
    head, x = VectorHead(3 * symmetries.order, group).double(), torch.randn(2, 3 * symmetries.order, 6, 8).double()
    y, plain = head(x), nn.Conv2d(3 * symmetries.order, 2, 1, bias=False).double()
    for g in range(symmetries.order):
        moved, expected = symmetries.act_on_features(g, x), turned(symmetries, g, y)
        torch.testing.assert_close(head(moved), expected, rtol=0, atol=1e-14)
        if g > 0:
            assert (plain(moved) - turned(symmetries, g, plain(x))).abs().max() > 1e-2, "the control"
            assert (head(moved) - symmetries.act(g, y)).abs().max() > 1e-2, "the control"


def test_a_vector_head_has_no_direction_where_all_orientations_say_the_same():
    x = torch.randn(1, 3, 4, 4).repeat(1, 8, 1, 1).double()
    head = VectorHead(24, "p4m").double()
    assert head(x).abs().max() < 1e-15 and head(x[:, torch.randperm(24)]).abs().max() > 1e-2


def test_wrong_vector_heads_are_refused():
    with pytest.raises(InputError, match="12 channels do not divide into the 8 orientations of p4m"):
        VectorHead(12, "p4m")
    with pytest.raises(InputError, match="group is 'p6'"):
        VectorHead(12, "p6")


@torch.no_grad()
@pytest.mark.parametrize("name", KINDS)
def test_heads_are_the_first_channels_of_the_outputs(name):
    net, x = drawn(name), image()
    outputs = net.outputs(x)
    scales = [] if name == "plain" else [net.num_scales]
    assert list(outputs.shape) == [2, *scales, CLASSES + 2, 24, 40]
    assert torch.equal(net(x), outputs) and torch.equal(net.all_outputs(x), outputs)
    for heads in (net.heads(x), net.all_heads(x)):
        assert torch.equal(heads, outputs[..., :CLASSES, :, :])
    torch.testing.assert_close(net.folded().outputs(x), outputs, rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("name", KINDS)
def test_a_network_without_directions_gives_the_classes_alone(name):
    net, x = drawn(name, directions=False), image()
    assert not net.directions and net(x).shape[-3] == CLASSES
    assert torch.equal(net.heads(x), net(x)) and torch.equal(net.outputs(x), net(x))


@torch.no_grad()
def test_octaves_too_coarse_for_an_image_are_left_out_of_the_outputs_too():
    net, x = drawn("seunet"), image(12, 40)
    with pytest.warns(UserWarning, match="too small for octave 1"):
        outputs = net.outputs(x)
    with pytest.warns(UserWarning, match="too small for octave 1"):
        heads = net.heads(x)
    assert torch.equal(heads, outputs[:, :, :CLASSES]) and outputs.shape[1] == 2
    assert net.all_outputs(x).shape == (2, 4, CLASSES + 2, 12, 40) and net.all_heads(x).shape[1:3] == (4, CLASSES)


@pytest.mark.parametrize("name", KINDS)
def test_gradient_of_the_directions_reaches_every_parameter_but_those_of_the_classes(name):
    net = drawn(name).train()
    net(image())[..., CLASSES:, :, :].square().mean().backward()
    own = {"head.classes.1.weight", "head.classes.1.bias"}
    for parameter, values in net.named_parameters():
        if values.requires_grad and parameter not in own:
            assert values.grad is not None and values.grad.abs().sum() > 0, parameter


@torch.no_grad()
@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("fusion", ["p_conf", "p_dist"])
def test_a_fused_network_gives_probabilities_and_directions(name, fusion):
    net, x = drawn(name), image()
    outputs = net.outputs(x)
    probabilities, directions = outputs[:, :, :CLASSES].softmax(2), outputs[:, :, CLASSES:]
    weights = group_weights(probabilities, fusion)
    net.fusion = fusion
    fused = net(x)
    assert fused.shape == (2, CLASSES + 2, 24, 40)
    torch.testing.assert_close(fused[:, :CLASSES].sum(1), torch.ones(2, 24, 40).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(fused[:, :CLASSES], fuse(probabilities, fusion, weights), rtol=0, atol=1e-12)
    expected = fuse_directions(directions, probabilities, weights)
    torch.testing.assert_close(fused[:, CLASSES:], expected, rtol=0, atol=1e-12)
    assert (fused[:, CLASSES:] - directions.mean(1)).abs().max() > 1e-3, "the groups are not heard alike"
    found, scale = net.forward_with_scale(x, fusion)
    torch.testing.assert_close(found, fused, rtol=0, atol=1e-12)
    assert torch.equal(scale, winning_scale(probabilities, fusion, weights))


@torch.no_grad()
def test_fused_directions_turn_with_the_image():
    net, x, symmetries = drawn("p4m", fusion="p_conf"), image(), point_group("p4m")
    y = net(x)[:, CLASSES:]
    for g in range(1, symmetries.order):
        found = net(symmetries.act(g, x))[:, CLASSES:]
        assert (found - turned(symmetries, g, y)).abs().max() < 1e-11 * y.abs().max()
        assert (found - symmetries.act(g, y)).abs().max() > 1e-2 * y.abs().max(), "the control"


@torch.no_grad()
@pytest.mark.parametrize("name", ["seunet", "p4", "p4m", "pyramid"])
@pytest.mark.parametrize("fusion", [None, "p_conf"])
def test_scripted_form_gives_the_same_numbers(name, fusion):
    net, x = drawn(name, fusion=fusion).folded(), image(24, 26)
    with pytest.warns(DeprecationWarning, match=r"torch.jit.script. is deprecated"):
        scripted = torch.jit.script(net)
    assert net(x).shape[-3] == CLASSES + 2
    torch.testing.assert_close(scripted(x), net(x), atol=1e-10, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", GROUPED)
def test_a_subset_is_the_slice(name):
    net, x = drawn(name), image()
    outputs, last = net.outputs(x), net.num_scales - 1
    for groups in ([last], [last, 0]):
        part = net.subset(groups)
        assert part.directions and part.out_channels == CLASSES
        for same in (part, part.folded(), net.folded().subset(groups)):
            torch.testing.assert_close(same.outputs(x), outputs[:, groups], rtol=0, atol=1e-10)
            torch.testing.assert_close(same.heads(x), outputs[:, groups, :CLASSES], rtol=0, atol=1e-10)
    assert (net.subset([0])(x) - outputs[:, [last]])[:, :, CLASSES:].abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("part", [None, (3, 5, 17, 30)])
def test_directions_follow_the_foreground(name, part):
    net, x = drawn(name), image()
    top, left, height, width = part or (0, 0, 24, 40)
    wanted = net.outputs(x)[..., top : top + height, left : left + width]
    found = net.foreground(x, part)
    assert found.shape == (2, net.num_scales, CLASSES - 1 + 2, height, width)
    probabilities = wanted[:, :, :CLASSES].softmax(2)[:, :, 1:].float()
    torch.testing.assert_close(found[:, :, : CLASSES - 1], probabilities, rtol=0, atol=1e-6)
    torch.testing.assert_close(found[:, :, CLASSES - 1 :], wanted[:, :, CLASSES:].float(), rtol=1e-6, atol=1e-6)


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


def test_a_config_and_its_network_agree_on_directions():
    for wanted in (True, "true"):
        check_directions(SEUNet(width=5, num_levels=2, directions=True), wanted)
        with pytest.raises(InputError, match="directions is true, and PlainUNet gives no directions"):
            check_directions(PlainUNet(width=2, num_levels=2), wanted)
    check_directions(PlainUNet(width=2, num_levels=2), "false")
    with pytest.raises(InputError, match="directions is false, and SEUNet gives directions"):
        check_directions(SEUNet(width=5, num_levels=2, directions=True), False)
