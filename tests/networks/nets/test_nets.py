"""What SEUNet and the plain U-Net promise, before and after some training steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from monai_seunet import PlainUNet, SEUNet
from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.sampling import pad_to_multiple
from monai_seunet.utils.errors import InputError


def trained(net: torch.nn.Module, steps: int = 3) -> torch.nn.Module:
    """The network after some optimiser steps on noise, in evaluation mode."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    dtype = next(net.parameters()).dtype
    for _ in range(steps):
        optimizer.zero_grad()
        (net(torch.rand(2, 3, 32, 32, dtype=dtype)) - 1).square().mean().backward()
        optimizer.step()
    return net.eval()


def small(**options) -> SEUNet:
    return SEUNet(**({"width": 6, "scales_per_octave": 3, "num_levels": 3} | options))


def test_parameters_are_those_of_the_paper():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    assert round(count(SEUNet(shared_norm=False)) / 1e6, 3) == 0.367
    assert count(SEUNet(shared_norm="false")) == count(SEUNet(shared_norm=False)), "as a command line gives it"
    assert round(count(PlainUNet()) / 1e6, 1) == 25.4
    assert len(SEUNet().scale_layers()) == 18


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 70), (1, 1)])
@pytest.mark.parametrize("net", [small(), PlainUNet(width=4, num_levels=3)], ids=["seunet", "plain"])
def test_any_size(net, size):
    y = net.eval()(torch.rand(2, 3, *size))
    assert y.shape == ((2, 3, 2, *size) if isinstance(net, SEUNet) else (2, 2, *size))
    assert torch.isfinite(y).all()


def test_an_image_is_mirrored_alike_on_both_sides():
    net = trained(small())
    x = torch.rand(1, 3, 30, 31)
    padded = torch.nn.functional.pad(x, (0, 1, 1, 1), mode="replicate")  # one pixel alone is its own mirror image
    torch.testing.assert_close(net(x), net(padded)[..., 1:-1, :-1])


@pytest.mark.parametrize(("height", "width"), [(30, 61), (5, 2), (1, 64), (3, 1)])
def test_padding_mirrors_as_often_as_needed(height, width):
    x = torch.rand(2, 3, height, width)
    rows, columns = -height % 64, -width % 64
    sides = ((0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    assert np.array_equal(pad_to_multiple(x, 64).numpy(), np.pad(x.numpy(), sides, mode="symmetric"))


@pytest.mark.parametrize("net", [small(), small(order=2, sigma_mode="free"), PlainUNet(width=4, num_levels=3)])
def test_gradient_reaches_every_parameter(net):
    net(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize("shared_norm", [True, False])
def test_a_subset_of_groups_is_a_slice_of_the_output(shared_norm):
    net, x = trained(small(shared_norm=shared_norm).double()), torch.rand(2, 3, 40, 24, dtype=torch.float64)
    full, part = net(x), net.subset([2, 0])(x)
    assert (part - full[:, [2, 0]]).abs().max() <= 1e-12
    assert (part - full[:, [0, 2]]).abs().max() > 1e-3  # the groups do differ
    assert net(x).shape[1] == 3  # the network itself is as it was


@pytest.mark.parametrize("groups", [[], [3], [0, 0], [-1]])
def test_a_subset_that_is_none_is_refused(groups):
    with pytest.raises(ValueError, match="different indices from 0 to 2"):
        small().subset(groups)


@pytest.mark.parametrize("options", [{}, {"shared_norm": False}, {"order": 2, "sigma_mode": "free"}])
def test_folded_form_equals_evaluation(options):
    net, x = trained(small(**options)), torch.rand(2, 3, 40, 24)
    folded = net.folded()
    assert (folded(x) - net(x)).abs().max() <= 1e-5
    assert not any(isinstance(m, ScaleConv2d) for m in folded.modules())
    # negative control: what is folded matters
    folded.encoder[0][0].conv.bias += 1
    assert (folded(x) - net(x)).abs().max() > 1e-3


@pytest.mark.parametrize("options", [{}, {"shared_norm": False}, {"order": 2, "sigma_mode": "free"}])
def test_evaluation_without_gradients_folds_on_the_way(options):
    net, x = trained(small(**options)), torch.rand(2, 3, 40, 24)
    expected = net(x).detach()
    with torch.no_grad():
        assert net.encoder[1][0]._folds()
        assert (net(x) - expected).abs().max() <= 1e-5
        # somebody who listens sees the filter and the norm, and the result is the same
        seen = []
        for part in (net.encoder[0][0].conv, net.encoder[0][0].norm):
            part.register_forward_pre_hook(lambda module, inputs: seen.append(module))
        assert (net(x) - expected).abs().max() <= 1e-5
        assert seen == [net.encoder[0][0].conv, net.encoder[0][0].norm]


def test_a_norm_that_is_set_to_train_learns_its_statistics_in_an_evaluating_network():
    net = trained(small())
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]
    for norm in norms:
        norm.train()
    with torch.no_grad():
        net(3 + torch.rand(2, 3, 32, 32))
    assert all(not norm.running_mean.equal(mean) for norm, mean in zip(norms, before, strict=True))


def test_folding_and_taking_a_subset_commute():
    net, x = trained(small(shared_norm=False)), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.folded().subset([2, 0])(x), net(x)[:, [2, 0]], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(net.folded().folded()(x), net(x), atol=1e-5, rtol=1e-5)


def test_an_exported_subset_has_the_kernel_sizes_of_its_groups():
    net, x = trained(small(sigma_ranges="geometric")).subset([2]), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exported = torch.export.export(net, (x,)).module()
        torch.testing.assert_close(exported(x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", ["heads", "folded"])
@torch.no_grad()
def test_autocast_changes_precision_alone(form):
    net, x = small().eval(), torch.rand(1, 3, 32, 32)
    net = net.folded() if form == "folded" else net
    expected = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(x)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_the_folded_plain_network_equals_evaluation():
    net, x = trained(PlainUNet(width=4, num_levels=3)), torch.rand(2, 3, 40, 24)
    folded = net.folded()
    assert (folded(x) - net(x)).abs().max() <= 1e-5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fused_form_is_the_fusion_of_the_heads(strategy):
    net, x = trained(small()), torch.rand(2, 3, 32, 32)
    heads = net(x)
    fused, scale = net.forward_with_scale(x, strategy)
    net.fusion = strategy
    torch.testing.assert_close(net(x), fuse(heads.softmax(2), strategy))
    torch.testing.assert_close(net(x), fused)
    assert scale.shape == (2, 1, 32, 32) and 0 <= scale.min() and scale.max() <= 2


@pytest.mark.parametrize("form", ["heads", "folded", *STRATEGIES])
def test_scripted_form_gives_the_same_numbers(form):
    net, x = trained(small(fusion=form if form in STRATEGIES else None)), torch.rand(1, 3, 20, 33)
    net = net.folded() if form == "folded" else net
    with pytest.warns(DeprecationWarning, match=r"torch.jit.script. is deprecated"):
        scripted = torch.jit.script(net)
    with torch.no_grad():
        torch.testing.assert_close(scripted(x), net(x), atol=1e-5, rtol=1e-5)


def test_recomputing_changes_memory_not_numbers():
    net, x = small().double(), torch.rand(1, 3, 16, 16, dtype=torch.float64)
    gradients = []
    for recompute in (False, True):
        for layer in net.scale_layers().values():
            layer.recompute = recompute
        net.zero_grad()
        net(x).square().mean().backward()
        gradients.append([p.grad.clone() for p in net.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=1e-12)


def test_zoom_moves_a_geometric_network_from_group_to_group():
    """Zoom by sqrt(2): group k on the zoomed image is closer to group k - 1 on the image than any other pairing."""
    torch.manual_seed(1)
    net = SEUNet(width=10, num_levels=2, sigma_ranges="geometric", truncation=4.0).double().eval()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    x = torch.nn.functional.avg_pool2d(x, 9, 1, 4)  # detail that both resolutions can show
    zoomed = torch.nn.functional.interpolate(x, size=(90, 90), mode="bicubic", align_corners=False, antialias=True)
    y, z = net(x), net(zoomed)
    y = torch.nn.functional.interpolate(y[0], size=(90, 90), mode="bicubic", align_corners=False, antialias=True)
    y, z = y[..., 20:-20, 20:-20], z[0, ..., 20:-20, 20:-20]
    errors = torch.stack([((y[k] - z).square().sum((1, 2, 3)) / y[k].square().sum()) for k in range(4)])
    assert errors.argmin(dim=1).tolist() == [1, 2, 3, 4]


def zoom_error(net: SEUNet) -> float:
    """Relative squared error between group 1 on an image and group 5 on the image enlarged by 4, off the border."""
    x = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 128, 128), 5, 1, 2)
    zoomed = torch.nn.functional.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    net.train()(x)  # statistics as after training
    net.eval()
    y, z = net.features([x])[0][0], torch.nn.functional.avg_pool2d(net.features([zoomed])[0][4], 4)
    y, z = y[..., 32:-32, 32:-32], z[..., 32:-32, 32:-32]
    return float((y - z).square().sum() / y.square().sum())


@torch.no_grad()
def test_average_pooling_commutes_with_zoom_better_than_max_pooling():
    ratios = []
    for seed in range(8):
        errors = {}
        for pooling in ("average", "max"):
            torch.manual_seed(seed)
            errors[pooling] = zoom_error(SEUNet(width=10, num_levels=3, sigma_ranges="geometric", pooling=pooling))
        ratios.append(errors["max"] / errors["average"])
    assert torch.tensor(ratios).log().mean().exp() > 1.2, ratios  # single networks scatter from 0.8 to 2.7


def test_names_of_sigmas_and_their_ranges():
    net = small(sigma_ranges="geometric")
    sigmas, bounds = net.sigmas(), net.sigma_bounds()
    assert list(sigmas) == list(bounds) and len(sigmas) == 10 and next(iter(sigmas)) == "encoder0.0"
    for name, sigma in sigmas.items():
        assert (bounds[name][:, 0] < sigma).all() and (sigma < bounds[name][:, 1]).all()


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="width 61 does not divide into 5 scale groups; the nearest is 60"):
        SEUNet(width=61)
    with pytest.raises(InputError, match="fusion is 'mean'"):
        small(fusion="mean")
    with pytest.raises(InputError, match="pooling is 'mean'; choose one of"):
        small(pooling="mean")
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\) and got shape \[1, 4, 8, 8\]"):
        small()(torch.rand(1, 4, 8, 8))
