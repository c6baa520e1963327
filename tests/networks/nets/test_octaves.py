"""Networks with octaves: the same weights on the halved image, exactly."""

import copy
from functools import lru_cache

import network_checks
import pytest
import torch
from network_checks import assert_scripted_alike, image
from torch.nn import functional as F

from monai_seunet.networks import PyramidUNet, RotoScaleUNet, SEUNet
from monai_seunet.networks.checkpoints import apply_weights
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.scale_unet import ScaleUNet
from monai_seunet.networks.unet.parts import ConvNormAct
from monai_seunet.testing import assert_equivariant, symmetry_errors
from monai_seunet.utils.errors import InputError

KINDS = {
    "seunet": (SEUNet, {"width": 12, "num_octaves": 3, "scales_per_octave": 2}),
    "one an octave": (SEUNet, {"width": 8, "num_octaves": 4, "scales_per_octave": 1, "num_levels": 2}),
    "doubled image": (SEUNet, {"width": 12, "num_octaves": 3, "scales_per_octave": 2, "finest_octave": -1}),
    "p4": (RotoScaleUNet, {"width": 48, "num_octaves": 3, "scales_per_octave": 2, "group": "p4"}),
    "p4m": (RotoScaleUNet, {"width": 96, "num_octaves": 3, "scales_per_octave": 2, "group": "p4m"}),
    "pyramid": (PyramidUNet, {"width": 4, "num_octaves": 3}),
}


def trained(name: str, **options) -> ScaleUNet:
    """A network with three resolutions after some optimiser steps, in evaluation mode."""
    return copy.deepcopy(_trained(name, **options))


@lru_cache
@torch.enable_grad()
def _trained(name: str, **options) -> ScaleUNet:
    torch.manual_seed(0)
    kind, usual = KINDS[name]
    net = kind(**({"num_levels": 3} | usual | options)).double()
    return network_checks.trained(net, lambda: image(64, 64), steps=2, rate=0.003)


def doubled(logits: torch.Tensor) -> torch.Tensor:
    flat = F.interpolate(logits.flatten(1, 2), scale_factor=2, mode="bilinear", align_corners=False)
    return flat.unflatten(1, logits.shape[1:3])


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in KINDS if name != "doubled image"])
def test_an_octave_is_the_octave_before_on_the_halved_image(name):
    net, x = trained(name), image(64, 128)
    per_octave = net.scales_per_octave
    heads, halved = net(x), doubled(net(F.avg_pool2d(x, 2)))
    assert heads.shape[1] == net.num_scales == per_octave * len(net.octaves)
    assert (heads[:, per_octave:] - halved[:, :-per_octave]).abs().max() <= 1e-12
    # the controls: other heads, and an image halved otherwise
    assert (heads[:, per_octave:] - halved[:, per_octave:]).abs().max() > 1e-3
    thinned = doubled(net(x[..., ::2, ::2]))
    assert (heads[:, per_octave:] - thinned[:, :-per_octave]).abs().max() > 1e-3


@torch.no_grad()
def test_the_octave_below_sees_the_doubled_image():
    net, x = trained("doubled image"), image(64, 96)
    assert net.octaves == [-1, 0, 1] and net.stride == 8
    finer = net.subset([0, 1])(x)
    plain = trained("doubled image", finest_octave=0).subset([0, 1])
    plain.load_state_dict(net.state_dict())
    twice = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    expected = F.avg_pool2d(plain(twice).flatten(1, 2), 2).unflatten(1, (2, 2))
    assert (finer - expected).abs().max() <= 1e-12
    assert (net.subset([2, 3])(x) - plain(x)).abs().max() <= 1e-12


@pytest.mark.parametrize("name", KINDS)
def test_gradient_reaches_every_parameter(name):
    net = trained(name).train()
    net.zero_grad()
    net(image(64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)


def test_octaves_add_no_parameter_and_take_each_others_weights():
    one, three = (SEUNet(width=4 * n, num_octaves=n, scales_per_octave=2, num_levels=3) for n in (2, 3))
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in three.parameters())
    apply_weights(three, one.state_dict(), "two.pt")
    with pytest.raises(InputError, match=r"two.pt: checkpoint of another network than this SEUNet"):
        apply_weights(SEUNet(width=6, num_octaves=1, scales_per_octave=3, num_levels=3), one.state_dict(), "two.pt")


@pytest.mark.parametrize("name", ["seunet", "p4m", "pyramid"])
def test_norms_count_every_pixel_of_every_octave_alike(name):
    net = trained(name).train()
    block = next(module for module in net.modules() if isinstance(module, ConvNormAct))
    norm = next(module for module in block.modules() if isinstance(module, torch.nn.BatchNorm2d))
    block.act = torch.nn.Identity()
    outputs = block.forward_jointly([image(16, 24), 3 * image(8, 12), 5 * image(4, 6)])
    pixels = torch.cat([y.permute(0, 2, 3, 1).reshape(-1, len(norm.weight)) for y in outputs])
    assert (pixels.mean(0) - norm.bias).abs().max() < 1e-10
    assert (pixels.std(0, correction=0) - norm.weight.abs()).abs().max() < 1e-2
    alone = outputs[0].permute(0, 2, 3, 1).reshape(-1, len(norm.weight))
    assert (alone.mean(0) - norm.bias).abs().max() > 0.05, "the largest octave alone has another mean"


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "size"), [*((name, (32, 48)) for name in KINDS), ("seunet", (46, 62)), ("doubled image", (22, 30))]
)
def test_any_groups_of_any_octaves_are_a_slice(name, size):
    net, x = trained(name), image(*size)
    heads, last = net(x), net.num_scales - 1
    for groups in ([last], [0, 2], [last, 0, 1]):
        part = net.subset(groups)
        assert part.num_scales == len(groups) and part.head_octaves() == [net.head_octaves()[k] for k in groups]
        assert (part(x) - heads[:, groups]).abs().max() <= 1e-12
        assert (part.subset([0])(x) - heads[:, groups[:1]]).abs().max() <= 1e-12
        assert (net.folded().subset(groups)(x) - heads[:, groups]).abs().max() <= 1e-10
        assert (part.folded()(x) - heads[:, groups]).abs().max() <= 1e-10
    assert (net.subset([0])(x) - heads[:, [last]]).abs().max() > 1e-3


def test_groups_that_are_not_asked_for_cost_nothing():
    net, ran = trained("seunet").subset([0, 1, 4]), []
    for layer in net.modules():
        if isinstance(layer, ScaleConv2d):
            layer.register_forward_hook(lambda module, inputs, y: ran.append((module.num_scales, y.shape[-1])))
    net(image(64, 64))
    assert len(ran) == 2 * len(net.scale_layers()), "one pass of the network for each of the two octaves"
    first = [call for call in ran if call[1] in (64, 16)][:1] + [call for call in ran if call[0] == 1][:1]
    assert first == [(2, 64), (1, 16)], "two groups on the image, one on the image halved twice"


@pytest.mark.parametrize("name", ["p4", "p4m"])
def test_turns_stay_exact(name):
    net, x = trained(name), image(40, 56)
    assert_equivariant(net, x, name, 1e-10)
    assert_equivariant(net.folded(), x, name, 1e-10)
    assert min(symmetry_errors(trained("seunet"), x, name).values()) > 1e-3


@pytest.mark.parametrize("name", ["seunet", "doubled image", "p4", "pyramid"])
@pytest.mark.parametrize("groups", [None, [0, 1, 2]])
def test_scripted_form_gives_the_same_numbers(name, groups):
    net = trained(name)
    assert_scripted_alike((net if groups is None else net.subset(groups)).folded(), image(40, 34))


def test_exported_graph_gives_the_same_numbers():
    net, x = trained("seunet", num_levels=2), image(64, 32)
    with torch.no_grad():
        exported = torch.export.export(net, (x,)).module()
        torch.testing.assert_close(exported(x), net(x), atol=1e-10, rtol=0)


def test_sigmas_double_at_every_octave():
    net = trained("seunet")
    sigmas, bounds = net.sigmas()["encoder0.0"], net.sigma_bounds()["encoder0.0"]
    torch.testing.assert_close(sigmas[2:], 2 * sigmas[:-2])
    assert (bounds[:-1, 1] - bounds[1:, 0]).abs().max() < 1e-6, "the ranges of all octaves are one series"
    assert net.subset([5, 0]).sigmas()["encoder0.0"].tolist() == sigmas[[5, 0]].tolist()


def test_octaves_that_an_image_is_too_small_for():
    net, x = trained("seunet"), image(31, 40)
    with pytest.warns(UserWarning, match=r"31 x 40 pixels is too small for octave 2 .* the others are run"):
        heads = net(x)
    assert heads.shape == (2, 4, 2, 31, 40)
    with pytest.warns(UserWarning, match="octave 1, 2"):
        assert net(image(3, 3)).shape[1] == 2
    assert net.fitting_heads(32, 32) == list(range(6))
    with pytest.raises(InputError, match=r"too small for octave 2 .*; train on crops of 32 pixels or more"):
        net.train()(x)
