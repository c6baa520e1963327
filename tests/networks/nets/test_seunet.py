"""What SEUNet alone promises, before and after some training steps."""

import numpy as np
import pytest
import torch
from network_checks import trained

from monai_seunet import PlainUNet, SEUNet
from monai_seunet.networks.layers.sampling import pad_to_multiple


def small(**options) -> SEUNet:
    return SEUNet(**({"width": 6, "scales_per_octave": 3, "num_levels": 3} | options))


def test_parameters_are_those_of_the_paper():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    assert round(count(SEUNet(shared_norm=False)) / 1e6, 3) == 0.367
    assert count(SEUNet(shared_norm="false")) == count(SEUNet(shared_norm=False)), "as a command line gives it"
    assert round(count(PlainUNet()) / 1e6, 1) == 25.4
    assert len(SEUNet().scale_layers()) == 18


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


@pytest.mark.parametrize("options", [{}, {"shared_norm": False}, {"order": 2, "sigma_mode": "free"}])
def test_evaluation_without_gradients_folds_on_the_way(options):
    net, x = trained(small(**options)), torch.rand(2, 3, 40, 24)
    expected = net(x).detach()
    with torch.no_grad():
        assert net.encoder[1][0]._folds() and (net(x) - expected).abs().max() <= 1e-5
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


def test_an_exported_subset_has_the_kernel_sizes_of_its_groups():
    net, x = trained(small(sigma_ranges="geometric")).subset([2]), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exported = torch.export.export(net, (x,)).module()
        torch.testing.assert_close(exported(x), net(x), atol=1e-5, rtol=1e-5)


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
