"""Networks over quarter turns and mirrors: exact before and after training, and their plain twins are not."""

import warnings

import pytest
import torch
from network_checks import assert_scripted_alike, trained

from monai_seunet.inferers import ScaleSlidingWindowInferer
from monai_seunet.networks import BaselineUNet, EquivariantUNet, GDenseNet, RotoScaleUNet, SimplifiedUNet, nets
from monai_seunet.networks.layers.rotation.point_group import point_group
from monai_seunet.testing import assert_equivariant, symmetry_errors
from monai_seunet.utils.errors import InputError

EQUIVARIANT = [EquivariantUNet, nets.GUNet, nets.SimplifiedGUNet, nets.GDenseUNet, GDenseNet]


def briefly_trained(net: torch.nn.Module) -> torch.nn.Module:
    return trained(net.double(), lambda: torch.rand(2, 2, 32, 32, dtype=torch.float64), steps=2, rate=0.003)


def small(kind: type, group: str) -> torch.nn.Module:
    return briefly_trained(kind(in_channels=2, width=8, group=group))


@pytest.mark.parametrize("group", ["p4", "p4m"])
@pytest.mark.parametrize("kind", EQUIVARIANT)
def test_every_network_commutes_with_its_group_after_training(kind, group):
    net, x = small(kind, group), torch.rand(2, 2, 38, 48, dtype=torch.float64)
    assert_equivariant(net, x, group, 1e-10)
    assert_equivariant(net.folded(), x, group, 1e-10)
    with torch.no_grad():
        torch.testing.assert_close(net.folded()(x), net(x), atol=1e-10, rtol=0)
        assert net(x).shape == ((2, 2) if kind is GDenseNet else (2, 2, 38, 48))


def test_turns_alone_are_not_mirrors():
    net, x = small(EquivariantUNet, "p4"), torch.rand(1, 2, 32, 32, dtype=torch.float64)
    errors = symmetry_errors(net, x, "p4m")
    assert max(errors[g] for g in (1, 2, 3)) < 1e-10 < 1e-3 < min(errors[g] for g in (4, 5, 6, 7))


@pytest.mark.parametrize("kind", [BaselineUNet, SimplifiedUNet])
def test_plain_twins_do_not_commute(kind):
    net, x = briefly_trained(kind(in_channels=2, width=8)), torch.rand(1, 2, 32, 32, dtype=torch.float64)
    assert min(symmetry_errors(net, x).values()) > 1e-3
    with pytest.raises(AssertionError, match=r"relative error .* under .* degrees, above 1e-10"):
        assert_equivariant(net, x)


@pytest.mark.parametrize("kind", EQUIVARIANT)
def test_scripted_form_gives_the_same_numbers(kind):
    assert_scripted_alike(small(kind, "p4"), torch.rand(1, 2, 32, 48, dtype=torch.float64))


def test_filters_are_those_of_the_papers():
    def filters(stages):
        return [next(m for m in stage.modules() if hasattr(m, "weight")).weight.shape[0] for stage in stages]

    for net in (SimplifiedUNet(), nets.SimplifiedGUNet()):
        assert filters(net.encoder) == [8, 16, 36, 64, 128] and filters(net.decoder) == [64, 32, 16, 8]
    assert filters(BaselineUNet().encoder) == filters(EquivariantUNet().encoder) == [64] * 6
    net = nets.GUNet()
    assert filters(net.encoder) == [32, 64, 128, 256, 256] and filters(net.decoder) == [256, 128, 64, 32]


@pytest.mark.parametrize(
    ("kind", "windows"),
    [(kind, windows) for kind in EQUIVARIANT for windows in (False, True) if kind is not GDenseNet or not windows],
)
def test_odd_sides_are_refused_or_warned_of(kind, windows):
    net, exact = (kind(in_channels=1, width=8, sizes=sizes).eval() for sizes in ("pad", "exact"))
    # windows are padded before the network sees them
    run = ScaleSlidingWindowInferer(64, multiple=net.stride) if windows else lambda x, net: net(x)
    x = torch.rand(1, 1, 33, 40)
    with pytest.warns(UserWarning, match="33 x 40 pixels cannot be padded alike .*32 or 34 would be exact"):
        assert run(x, net).shape[0] == 1
    with pytest.raises(InputError, match="crop or pad the side of 33 to 32 or 34"):
        run(x, exact)


def test_even_sides_are_taken_without_a_word():
    net = EquivariantUNet(1, width=8, num_levels=3).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(torch.rand(1, 1, 34, 40))


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("group", ["p4", "p4m"])
def test_turns_and_scales_at_once(group, order):
    torch.manual_seed(0)
    options = {"in_channels": 2, "width": 48, "num_levels": 3, "scales_per_octave": 2, "order": order}
    net, x = briefly_trained(RotoScaleUNet(group=group, **options)), torch.rand(2, 2, 30, 32, dtype=torch.float64)
    assert_equivariant(net, x, group, 1e-10)
    with torch.no_grad():
        y = net(x)
        assert y.shape == (2, 2, 2, 30, 32) and y.std() > 1e-3
        torch.testing.assert_close(net.subset([1])(x), y[:, [1]], atol=1e-12, rtol=0)
        torch.testing.assert_close(net.folded()(x), y, atol=1e-10, rtol=0)
        torch.testing.assert_close(net.folded().subset([1])(x), y[:, [1]], atol=1e-10, rtol=0)
        # the control: a bank whose orientations share no weights
        layer = net.encoder[0][0].conv
        mixing = torch.randn_like(layer.mixing())
        layer.mixing = lambda: mixing
    assert min(symmetry_errors(net, x, group).values()) > 1e-6


@pytest.mark.parametrize("group", ["p4", "p4m"])
def test_steered_filters_are_turned_filters(group):
    net = RotoScaleUNet(in_channels=1, width=16, num_levels=1, scales_per_octave=1, group=group, order=4).double()
    lifting = net.encoder[0][0].conv
    (filters,) = lifting.dense_filters()  # (R * O, 1, taps, taps)
    turned = filters.unflatten(0, (lifting.source.shape[0], -1))
    for h in range(len(turned)):
        torch.testing.assert_close(turned[h], point_group(group).act(h, turned[0]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", [*EQUIVARIANT, RotoScaleUNet])
def test_weights_of_another_pooling_are_refused(kind):
    width = 40 if kind is RotoScaleUNet else 8
    weights = kind(in_channels=1, width=width, group_pooling="mean").state_dict()
    with pytest.raises(InputError, match="it was trained with group_pooling 'mean', this network has 'max'"):
        kind(in_channels=1, width=width, group_pooling="max").load_state_dict(weights)
