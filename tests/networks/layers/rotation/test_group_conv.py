"""Group convolutions: their law, the forms that they are computed in, and what must break them."""

import copy

import pytest
import torch
from torch import nn

from monai_seunet.networks.layers.rotation import group_conv
from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d, GroupConvTranspose2d
from monai_seunet.networks.layers.rotation.group_fourier import GroupFourierConv
from monai_seunet.networks.layers.rotation.orientation import OrientationBatchNorm2d, OrientationConcat, OrientationPool
from monai_seunet.networks.layers.rotation.point_group import point_group, standard_representation
from monai_seunet.utils.errors import InputError

GROUPS = ("p4", "p4m")


def features(group: str, channels: int, height: int = 8, width: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    order = point_group(group).order
    return torch.randn(2, order * channels, height, width, dtype=torch.float64, generator=generator)


def moved_alike(layer: nn.Module, group: str, x: torch.Tensor, lifting: bool = False) -> float:
    """Largest difference between the layer of a moved map and the moved map of the layer."""
    symmetries, y = point_group(group), layer(x)
    act = symmetries.act if lifting else symmetries.act_on_features
    errors = [(layer(act(g, x)) - symmetries.act_on_features(g, y)).abs().max().item() for g in range(symmetries.order)]
    return max(errors)


def by_definition(weight: torch.Tensor, group: str, x: torch.Tensor) -> torch.Tensor:
    """Sum over orientations and taps, one product at a time: y(p, h) = sum w(h^-1 z, h^-1 h') x(p + z, h')."""
    symmetries, size = point_group(group), weight.shape[-1]
    matrix, reach = standard_representation(symmetries), size // 2
    maps = nn.functional.pad(x, [reach] * 4).unflatten(1, (symmetries.order, -1))
    height, width = x.shape[-2:]
    y = x.new_zeros(len(x), symmetries.order, weight.shape[0], height, width)
    for h in range(symmetries.order):
        for other in range(symmetries.order):
            relative = symmetries.product(symmetries.inverse(h), other)
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    back = matrix[symmetries.inverse(h)] @ torch.tensor([dy, dx], dtype=torch.float64)
                    v, u = (int(n) + reach for n in back)
                    window = maps[:, other, :, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
                    y[:, h] += torch.einsum("oi,bihw->bohw", weight[:, :, relative, v, u], window)
    return y.flatten(1, 2)


@pytest.mark.parametrize("group", ["p1", *GROUPS])
def test_elements_form_a_group_and_act_as_their_matrices(group):
    symmetries, x = point_group(group), torch.arange(30.0).view(5, 6)
    matrix = standard_representation(symmetries)
    for g in range(symmetries.order):
        assert symmetries.product(g, symmetries.inverse(g)) == 0
        for h in range(symmetries.order):
            product = symmetries.product(g, h)
            assert torch.equal(symmetries.act(g, symmetries.act(h, x)), symmetries.act(product, x))
            assert torch.equal(matrix[g] @ matrix[h], matrix[product])


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("group", GROUPS)
def test_the_expanded_bank_is_the_definition(group, size):
    order = point_group(group).order
    conv, x = GroupConv2d(2 * order, 3 * order, group, size).double(), features(group, 2)
    torch.testing.assert_close(conv(x), by_definition(conv.filters(), group, x), atol=1e-12, rtol=0)


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("group", GROUPS)
def test_the_fourier_form_is_the_same_function_with_the_same_gradients(group, size):
    order = point_group(group).order
    conv, x = GroupConv2d(2 * order, 3 * order, group, size).double(), features(group, 2).requires_grad_()
    y, fourier = conv(x), GroupFourierConv.apply(x, conv.filters(), conv.group)
    torch.testing.assert_close(fourier, y, atol=1e-10, rtol=0)
    seed = torch.randn_like(y)
    gradients = [torch.autograd.grad(z, [x, conv.weight], seed) for z in (fourier, y)]
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


def test_wide_layers_take_the_fourier_form(monkeypatch):
    conv, x = GroupConv2d(16, 16, "p4m").double(), features("p4m", 2)
    with torch.no_grad():
        bank = conv(x)
        monkeypatch.setattr(group_conv, "FOURIER_CHANNELS", {("p4m", False): 2})
        conv._expanded.clear()
        monkeypatch.setattr(conv, "expanded_weight", None)  # which the Fourier form does not need
        torch.testing.assert_close(conv(x), bank, atol=1e-12, rtol=0)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    ("make", "lifting"),
    [
        (lambda g, n: GroupConv2d(2 * n, 3 * n, g, bias=True), False),
        (lambda g, n: GroupConv2d(2, 3 * n, g, 7, lifting=True), True),
        (lambda g, n: GroupConvTranspose2d(2 * n, 3 * n, g), False),
        (lambda g, n: OrientationBatchNorm2d(2 * n, g), False),
        (lambda g, n: nn.MaxPool2d(2), False),
        (lambda g, n: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), False),
    ],
)
def test_layers_commute_with_the_group(group, make, lifting):
    layer = make(group, point_group(group).order).double()
    x = features("p1", 2) if lifting else features(group, 2)
    assert moved_alike(layer, group, x, lifting) < 1e-12
    for parameter in layer.parameters():
        parameter.data += torch.randn_like(parameter)  # as training would
    assert moved_alike(layer, group, x, lifting) < 1e-12


def test_an_ordinary_convolution_and_separate_norms_break_the_law():
    x = features("p4", 2)
    assert moved_alike(nn.Conv2d(8, 8, 3, padding=1).double(), "p4", x) > 0.1
    norm = nn.BatchNorm2d(8).double()
    norm.weight.data = torch.rand(8, dtype=torch.float64)
    assert moved_alike(norm, "p4", x) > 0.1


@pytest.mark.parametrize("mode", ["max", "mean"])
def test_pooled_orientations_turn_as_an_image(mode):
    group, pool, x = point_group("p4m"), OrientationPool("p4m", mode), features("p4m", 3)
    for g in range(group.order):
        torch.testing.assert_close(pool(group.act_on_features(g, x)), group.act(g, pool(x)))


def test_maps_are_joined_orientation_by_orientation():
    a, b = features("p4", 2), features("p4", 3)
    expected = torch.cat([a.unflatten(1, (4, 2)), b.unflatten(1, (4, 3))], dim=2).flatten(1, 2)
    assert torch.equal(OrientationConcat("p4")(a, b), expected)


def test_shared_norm_is_batch_norm_over_all_orientations():
    norm, x = OrientationBatchNorm2d(8, "p4").double(), features("p4", 2)
    expected = nn.BatchNorm2d(2).double()(x.unflatten(1, (4, 2)).transpose(1, 2).flatten(2, 3))
    torch.testing.assert_close(norm(x), expected.unflatten(2, (4, -1)).transpose(1, 2).flatten(1, 2))


@pytest.mark.parametrize("group", GROUPS)
def test_a_sum_keeps_its_variance_through_a_relu(group):
    order = point_group(group).order
    torch.manual_seed(0)
    conv, x = GroupConv2d(16 * order, 16 * order, group), torch.randn(4, 16 * order, 16, 16).relu()
    assert 0.8 < conv(x).square().mean() / 2 / x.square().mean() < 1.25


def test_a_network_can_be_moved_to_channels_last():
    layer, x = GroupConv2d(8, 8, "p4"), torch.randn(1, 8, 6, 6)
    torch.testing.assert_close(copy.deepcopy(layer).to(memory_format=torch.channels_last)(x), layer(x))


def test_the_bank_is_expanded_again_after_an_update():
    conv, x = GroupConv2d(8, 8, "p4"), torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        first = conv(x)
        assert conv._expanded.get(conv.weight, "bank", None) is conv._expanded.get(conv.weight, "bank", None)
        conv.weight.mul_(2)
        torch.testing.assert_close(conv(x), 2 * first)
        conv.load_state_dict({"weight": conv.weight / 2})
        torch.testing.assert_close(conv(x), first)
        torch.testing.assert_close(copy.deepcopy(conv).double()(x.double()).float(), first)


@pytest.mark.parametrize("bias", [True, False])
def test_ordinary_convolutions_are_the_same_function(bias):
    for layer in (GroupConv2d(8, 16, "p4m", bias=bias), GroupConvTranspose2d(8, 16, "p4m", bias=bias)):
        if bias:
            layer.bias.data = torch.randn_like(layer.bias)
        x = torch.randn(1, 8, 6, 6)
        torch.testing.assert_close(layer.ordinary()(x), layer(x), atol=1e-5, rtol=1e-5)


def test_wrong_options_are_named():
    with pytest.raises(InputError, match=r"group is 'p6'; choose one of \['p1', 'p4', 'p4m'\]"):
        GroupConv2d(8, 8, "p6")
    with pytest.raises(InputError, match="12 channels do not divide into the 8 orientations of p4m; the nearest is 16"):
        GroupConv2d(8, 12, "p4m")
    with pytest.raises(ValueError, match="kernel_size is 4"):
        GroupConv2d(8, 8, "p4", 4)
    with pytest.raises(InputError, match="group_pooling is 'sum'"):
        OrientationPool("p4", "sum")
