"""What every network promises, before and after some training steps."""

import inspect
import re

import pytest
import torch
from network_checks import assert_scripted_alike, trained

from monai_seunet import DISCOUNet, PlainUNet, SESNUNet, SEUNet
from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.networks import EquivariantUNet, nets
from monai_seunet.networks.checkpoints import apply_weights
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.scale_groups import ScaleGroupConv
from monai_seunet.utils.errors import InputError

SEUNET = {"width": 6, "scales_per_octave": 3, "num_levels": 3}
OCTAVES = {"width": 12, "scales_per_octave": 2, "num_octaves": 3}
FIXED = {"width": 6, "num_levels": 3, "scales": (1, 2, 3)}
SCALES = {  # of three scale groups
    "seunet": (SEUNet, SEUNET),
    "sesn": (SESNUNet, FIXED | {"kernel_size": 7}),
    "sesn, wide": (SESNUNet, FIXED | {"kernel_size": 7, "width": 72, "num_levels": 2}),
    "disco": (DISCOUNet, FIXED),
    "disco, fitted": (DISCOUNet, FIXED | {"scales": (1, 1.5, 2)}),
}
ORDER_2 = {"seunet, order 2": (SEUNet, SEUNET | {"order": 2, "sigma_mode": "free"})}
PLAIN = {"plain": (PlainUNet, {"width": 4, "num_levels": 3})}
GROUPS = {
    name: (getattr(nets, name), {"in_channels": 3, "width": 8})
    for name in "EquivariantUNet GUNet SimplifiedGUNet GDenseUNet GDenseNet BaselineUNet SimplifiedUNet".split()
}


def made(name: str, **options) -> torch.nn.Module:
    kind, usual = (SCALES | ORDER_2 | PLAIN | GROUPS)[name]
    return kind(**usual | options)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (5, 70), (1, 1)])
@pytest.mark.parametrize("name", SCALES | PLAIN)
def test_any_size(name, size):
    y = made(name).eval()(torch.rand(2, 3, *size))
    assert y.shape == ((2, 3, 2, *size) if name in SCALES else (2, 2, *size)) and torch.isfinite(y).all()


@pytest.mark.parametrize("name", SCALES | ORDER_2 | PLAIN | GROUPS)
def test_gradient_reaches_every_parameter(name):
    net, side = made(name), 64 if name in GROUPS else 32
    net(torch.rand(2, 3, side, side)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)


@pytest.mark.parametrize("shared_norm", [True, False])
@pytest.mark.parametrize("name", SCALES)
def test_a_subset_of_groups_is_a_slice_of_the_output(name, shared_norm):
    net = trained(made(name, shared_norm=shared_norm).double())
    x = torch.rand(2, 3, 40, 24, dtype=torch.float64)
    full, part = net(x), net.subset([2, 0])(x)
    assert (part - full[:, [2, 0]]).abs().max() <= 1e-12
    assert (part - full[:, [0, 2]]).abs().max() > 1e-3  # the groups do differ
    assert net(x).shape[1] == 3  # the network itself is as it was


@pytest.mark.parametrize("groups", [[], [3], [0, 0], [-1]])
def test_a_subset_that_is_none_is_refused(groups):
    with pytest.raises(ValueError, match="different indices from 0 to 2"):
        made("seunet").subset(groups)


@pytest.mark.parametrize("shared_norm", [True, False])
@pytest.mark.parametrize("name", SCALES | ORDER_2)
def test_folded_form_equals_evaluation(name, shared_norm):
    net, x = trained(made(name, shared_norm=shared_norm)), torch.rand(2, 3, 40, 24)
    expected, folded = net(x).detach(), net.folded()
    assert not any(isinstance(m, ScaleConv2d | ScaleGroupConv) for m in folded.modules())
    for form, groups in ((folded, [0, 1, 2]), (folded.folded(), [0, 1, 2]), (folded.subset([2, 0]), [2, 0])):
        assert (form(x) - expected[:, groups]).abs().max() <= 1e-5
    with torch.no_grad():
        assert (net(x) - expected).abs().max() <= 1e-5, "evaluation may fold on the way"
        # negative control: what is folded matters
        conv = folded.encoder[0][0].conv
        (conv if hasattr(conv, "bias") else conv.filters[0]).bias += 1
        assert (folded(x) - expected).abs().max() > 1e-3


def test_the_folded_plain_network_equals_evaluation():
    net, x = trained(made("plain")), torch.rand(2, 3, 40, 24)
    folded = net.folded()
    assert (folded(x) - net(x)).abs().max() <= 1e-5
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())


@pytest.mark.parametrize(
    ("name", "form"),
    [
        *(("seunet", form) for form in ("heads", "folded", *STRATEGIES)),
        *((name, form) for name in SCALES if name != "seunet" for form in ("heads", "folded", "p_ens")),
    ],
)
def test_scripted_and_exported_forms_give_the_same_numbers(name, form):
    net, x = trained(made(name, fusion=form if form in STRATEGIES else None)), torch.rand(1, 3, 20, 32)
    net = net.folded() if form == "folded" else net
    assert_scripted_alike(net, x, torch.rand(1, 3, 20, 33), atol=1e-5, rtol=1e-5)
    if form == "heads":
        with torch.no_grad():
            exported = torch.export.export(net, (x,)).module()
            torch.testing.assert_close(exported(x), net(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", ["heads", "folded"])
@pytest.mark.parametrize("name", SCALES)
@torch.no_grad()
def test_autocast_changes_precision_alone(name, form):
    net, x = made(name).eval(), torch.rand(1, 3, 32, 32)
    net = net.folded() if form == "folded" else net
    expected = net(x)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        found = net(x)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["seunet", "disco"])
def test_fused_form_is_the_fusion_of_the_heads(name, strategy):
    net, x = trained(made(name)), torch.rand(2, 3, 32, 32)
    heads = net(x)
    fused, scale = net.forward_with_scale(x, strategy)
    net.fusion = strategy
    torch.testing.assert_close(net(x), fuse(heads.softmax(2), strategy))
    torch.testing.assert_close(net(x), fused)
    assert scale.shape == (2, 1, 32, 32) and 0 <= scale.min() and scale.max() <= 2


def test_parameters_are_pairs_of_channels_times_basis_functions():
    widths = [12 * 2**level for level in range(5)]
    inputs = [3, *widths[:-1]]
    pairs = sum(i * o + o * o for i, o in zip(inputs, widths, strict=True)) + sum(3 * w * w for w in widths[:-1])
    for net, functions in ((SESNUNet(), 15), (DISCOUNet(), 9)):
        assert len(net.scale_layers()) == 18
        assert sum(p.numel() for layer in net.scale_layers().values() for p in layer.parameters()) == functions * pairs


@pytest.mark.parametrize(
    ("name", "other"), [("sesn", {"scales": (1, 2, 4)}), ("sesn", {"kernel_size": 9}), ("disco", {"scales": (1, 2, 4)})]
)
def test_weights_of_other_scales_are_refused(name, other):
    with pytest.raises(InputError, match="it was trained with"):
        apply_weights(made(name), made(name, **other).state_dict(), "model.pt")
    apply_weights(made(name), made(name).state_dict(), "model.pt")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SEUNet, {"width": 61}, "width 61 does not divide into 5 scale groups; the nearest is 60"),
        (SESNUNet, {"width": 61}, "width 61 does not divide into 5 scale groups; the nearest is 60"),
        (SEUNet, SEUNET | {"fusion": "mean"}, "fusion is 'mean'"),
        (DISCOUNet, {"fusion": "mean"}, "fusion is 'mean'"),
        (SEUNet, SEUNET | {"pooling": "mean"}, "pooling is 'mean'; choose one of"),
        (SESNUNet, {"scales": (2, 1), "width": 4}, "scales are"),
        (EquivariantUNet, {"in_channels": 1, "width": 8, "sizes": "crop"}, "sizes is 'crop'"),
        (SEUNet, OCTAVES | {"num_octaves": 0}, "num_octaves is 0"),
        (SEUNet, OCTAVES | {"finest_octave": 1}, "finest_octave is 1; choose 0"),
        (SEUNet, OCTAVES | {"shared_norm": False}, "octaves share their norms"),
        (SEUNet, OCTAVES | {"width": 13}, "width 13 does not divide into 6 scale groups; the nearest is 12"),
    ],
)
def test_wrong_options_are_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        kind(**options)


def test_an_image_of_other_channels_is_refused():
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\) and got shape \[1, 4, 8, 8\]"):
        made("seunet")(torch.rand(1, 4, 8, 8))


@pytest.mark.parametrize("name", nets.__all__)
def test_the_help_names_every_argument_in_its_order(name):
    network = getattr(nets, name)
    _, arguments = inspect.getdoc(network).split("\nArgs:\n")
    named = re.findall(r"^    (\w+):", arguments.split("\n\n")[0], flags=re.MULTILINE)
    assert named == list(inspect.signature(network).parameters)
