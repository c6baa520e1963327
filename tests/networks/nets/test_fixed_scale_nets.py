"""What the U-Nets of SESN and DISCO layers promise, as SEUNet does."""

from __future__ import annotations

import pytest
import torch

from monai_seunet import DISCOUNet, SESNUNet
from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.networks.checkpoints import apply_weights
from monai_seunet.networks.layers.scale_groups import ScaleGroupConv
from monai_seunet.utils.errors import InputError

SMALL = {"width": 6, "num_levels": 3, "scales": (1, 2, 3)}
NETS = {
    "sesn": lambda **options: SESNUNet(**SMALL | {"kernel_size": 7} | options),
    "sesn, wide": lambda **options: SESNUNet(**SMALL | {"kernel_size": 7, "width": 72, "num_levels": 2} | options),
    "disco": lambda **options: DISCOUNet(**SMALL | options),
    "disco, fitted": lambda **options: DISCOUNet(**SMALL | {"scales": (1, 1.5, 2)} | options),
}


@pytest.fixture(params=NETS)
def make(request):
    return NETS[request.param]


def trained(net, steps=3):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    dtype = next(net.parameters()).dtype
    for _ in range(steps):
        optimizer.zero_grad()
        (net(torch.rand(2, 3, 32, 32, dtype=dtype)) - 1).square().mean().backward()
        optimizer.step()
    return net.eval()


def test_parameters_are_pairs_of_channels_times_basis_functions():
    widths = [12 * 2**level for level in range(5)]
    inputs = [3, *widths[:-1]]
    pairs = sum(i * o + o * o for i, o in zip(inputs, widths, strict=True)) + sum(3 * w * w for w in widths[:-1])
    for net, functions in ((SESNUNet(), 15), (DISCOUNet(), 9)):
        assert len(net.scale_layers()) == 18
        assert sum(p.numel() for layer in net.scale_layers().values() for p in layer.parameters()) == functions * pairs


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (1, 1)])
def test_any_size(make, size):
    y = make().eval()(torch.rand(2, 3, *size))
    assert y.shape == (2, 3, 2, *size) and torch.isfinite(y).all()


def test_gradient_reaches_every_parameter(make):
    net = make()
    net(torch.rand(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("shared_norm", [True, False])
def test_a_subset_of_groups_is_a_slice_of_the_output(make, shared_norm):
    net, x = trained(make(shared_norm=shared_norm).double()), torch.rand(2, 3, 40, 24, dtype=torch.float64)
    full, part = net(x), net.subset([2, 0])(x)
    assert (part - full[:, [2, 0]]).abs().max() <= 1e-12
    assert (part - full[:, [0, 2]]).abs().max() > 1e-3
    assert net(x).shape[1] == 3


@pytest.mark.parametrize("shared_norm", [True, False])
def test_folded_form_equals_evaluation(make, shared_norm):
    net, x = trained(make(shared_norm=shared_norm)), torch.rand(2, 3, 40, 24)
    expected, folded = net(x).detach(), net.folded()
    assert (folded(x) - expected).abs().max() <= 1e-5
    assert not any(isinstance(m, ScaleGroupConv) for m in folded.modules())
    assert (folded.subset([2, 0])(x) - expected[:, [2, 0]]).abs().max() <= 1e-5
    with torch.no_grad():
        assert (net(x) - expected).abs().max() <= 1e-5  # folds on the way
        folded.encoder[0][0].conv.filters[0].bias += 1
        assert (folded(x) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("form", ["heads", "folded", "p_ens"])
def test_scripted_and_exported_forms_give_the_same_numbers(make, form):
    net, x = trained(make(fusion="p_ens" if form == "p_ens" else None)), torch.rand(1, 3, 20, 32)
    net = net.folded() if form == "folded" else net
    with pytest.warns(DeprecationWarning, match=r"torch.jit.script. is deprecated"):
        scripted = torch.jit.script(net)
    with torch.no_grad():
        expected = net(x)
        torch.testing.assert_close(scripted(x), expected, atol=1e-5, rtol=1e-5)
        if form == "heads":
            exported = torch.export.export(net, (x,)).module()
            torch.testing.assert_close(exported(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_autocast_changes_precision_alone(make):
    net, x = make().eval(), torch.rand(1, 3, 32, 32)
    expected = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = net(x)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fused_form_is_the_fusion_of_the_heads(strategy):
    net, x = trained(NETS["disco"]()), torch.rand(2, 3, 32, 32)
    heads = net(x)
    fused, scale = net.forward_with_scale(x, strategy)
    net.fusion = strategy
    torch.testing.assert_close(net(x), fuse(heads.softmax(2), strategy))
    torch.testing.assert_close(net(x), fused)
    assert scale.shape == (2, 1, 32, 32)


def test_weights_of_other_scales_are_refused():
    for name, other in (
        ("sesn", {"scales": (1, 2, 4)}),
        ("sesn", {"kernel_size": 9}),
        ("disco", {"scales": (1, 2, 4)}),
    ):
        with pytest.raises(InputError, match="it was trained with"):
            apply_weights(NETS[name](), NETS[name](**other).state_dict(), "model.pt")
    apply_weights(NETS["sesn"](), NETS["sesn"]().state_dict(), "model.pt")


def test_wrong_options_are_refused():
    with pytest.raises(InputError, match="width 61 does not divide into 5 scale groups; the nearest is 60"):
        SESNUNet(width=61)
    with pytest.raises(InputError, match="fusion is 'mean'"):
        DISCOUNet(fusion="mean")
    with pytest.raises(InputError, match="scales are"):
        SESNUNet(scales=(2, 1), width=4)
