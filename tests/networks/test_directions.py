"""Directions to the centres of objects: they turn with the image as vectors, and come after the classes everywhere."""

import pytest
import torch
from direction_networks import CLASSES, KINDS, drawn, turned
from network_checks import assert_scripted_alike, image, trained

from monai_seunet.fusion import fuse, fuse_directions, group_weights, winning_scale
from monai_seunet.networks import PlainUNet, SEUNet, check_directions
from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.networks.unet.skeleton import UNetSkeleton
from monai_seunet.utils.errors import InputError

WIDE = {  # enough features for some of each orientation to live
    "p4": {"width": 3 * 32},
    "p4m": {"width": 3 * 64, "group_pooling": "max"},
    "p4m, mean": {"width": 3 * 64},
}
GROUPED = [name for name in KINDS if name != "plain"]


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
    net = trained(drawn("p4m", **WIDE["p4m"]).train(), lambda: image(16, 16), steps=2, rate=0.003)
    with torch.no_grad():
        assert max(vector_errors(moved_outputs(net, image(), "p4m"), "p4m")) < 1e-12


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


@pytest.mark.parametrize("name", ["seunet", "p4", "p4m", "pyramid"])
@pytest.mark.parametrize("fusion", [None, "p_conf"])
def test_scripted_form_gives_the_same_numbers(name, fusion):
    net, x = drawn(name, fusion=fusion).folded(), image(24, 26)
    assert net(x).shape[-3] == CLASSES + 2
    assert_scripted_alike(net, x)


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


def test_a_config_and_its_network_agree_on_directions():
    check_directions(SEUNet(width=5, num_levels=2, directions=True), True)
    check_directions(PlainUNet(width=2, num_levels=2), False)
    with pytest.raises(InputError, match="directions is true, and PlainUNet gives no directions"):
        check_directions(PlainUNet(width=2, num_levels=2), True)
    with pytest.raises(InputError, match="directions is false, and SEUNet gives directions"):
        check_directions(SEUNet(width=5, num_levels=2, directions=True), False)
