"""The DISCO layer: against its definition, nine taps a scale, exact at whole scales, well fitted between them."""

import pytest
import torch
from layer_checks import assert_is_the_definition, maps_for, zoom_errors
from torch.nn import functional as F

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.layers.discrete.disco_basis import disco_basis, equivariance_objective, random_images
from monai_seunet.utils.errors import InputError

WHOLE, BETWEEN = (1.0, 2.0, 3.0, 4.0, 5.0), (1.0, 2**0.5, 2.0)


pytestmark = pytest.mark.usefixtures("doubles")


def bank(scales, size):
    """All basis functions, (S, 9, size, size): deltas placed one by one; what was fitted as it is."""
    result = torch.zeros(len(scales), 9, size, size)
    middle = size // 2
    for k, scale in enumerate(scales):
        if scale == int(scale):
            for n in range(9):
                result[k, n, middle + int(scale) * (n // 3 - 1), middle + int(scale) * (n % 3 - 1)] = 1
        else:
            fitted = disco_basis(scales)[k]
            pad = (size - fitted.shape[-1]) // 2
            result[k] = F.pad(fitted, [pad] * 4)
    return result


@pytest.mark.parametrize("lifting", [False, True])
@pytest.mark.parametrize("scales", [WHOLE, BETWEEN])
def test_it_is_the_definition_before_and_after_training(scales, lifting):
    layer = DISCOConv2d(3, 4, scales, lifting)
    assert_is_the_definition(layer, maps_for(layer), bank(scales, 11), layer.weight, lambda weight: weight.flatten(2))


def test_nine_taps_at_every_scale():
    filters = DISCOConv2d(3, 4).dense_filters()
    assert [f.shape[-1] for f in filters] == [3, 5, 7, 9, 11]
    assert all((f != 0).sum() == 9 * 3 * 4 for f in filters)


@pytest.mark.parametrize("k", range(5))
def test_subsampling_by_a_whole_scale_moves_its_group_to_the_first_exactly(k):
    layer, step = DISCOConv2d(3, 4, lifting=True), k + 1
    x = torch.randn(1, 3, 60, 60)
    fine, coarse = layer(x)[..., ::step, ::step], layer(x[..., ::step, ::step])
    assert (fine[k] - coarse[0]).abs().max() < 1e-12
    assert k == 0 or (fine[k - 1] - coarse[0]).abs().max() > 0.1


@pytest.mark.parametrize(("scales", "ratio", "bound"), [(WHOLE, 2, 0.03), (BETWEEN, 2**0.5, 0.08)])
def test_zoom_moves_the_second_group_onto_the_one_of_that_ratio(scales, ratio, bound):
    errors = torch.stack([zoom_errors(DISCOConv2d(3, 8, scales, True), ratio) for _ in range(4)]).mean(0)[1]
    match = scales.index(pytest.approx(scales[1] * ratio))
    assert errors[match] < bound and int(errors.argmin()) == match
    assert errors[1] > 1.4 * errors[match]


@pytest.mark.parametrize("scales", [BETWEEN, (1.0, 1.5, 2.0, 3.0)])
def test_the_fitted_basis_commutes_with_resizing_best(scales):
    """On images that the fit has not seen: better than deltas drawn bilinearly, and than itself moved a little."""
    images, fitted = random_images(seed=1), list(disco_basis(scales))
    best = equivariance_objective(scales, fitted, images)
    drawn = [
        basis if scale == int(scale) else bilinear_deltas(scale, basis.shape[-1])
        for scale, basis in zip(scales, fitted, strict=True)
    ]
    # most of what is left is detail that the smaller image cannot show, with any basis
    assert 1.02 * best < equivariance_objective(scales, drawn, images)
    moved = [basis if s == int(s) else basis + 0.05 * torch.randn_like(basis) for s, basis in zip(scales, fitted)]  # noqa: B905
    assert best < equivariance_objective(scales, moved, images)


def bilinear_deltas(scale, taps):
    """Deltas between the pixels, shared by the four around each."""
    line = torch.zeros(3, taps)
    for n in range(3):
        position = taps // 2 + scale * (n - 1)
        line[n] = (1 - (torch.arange(taps) - position).abs()).clamp(min=0)
    return torch.einsum("iy,jx->ijyx", line, line).reshape(9, taps, taps)


def test_the_fit_is_a_function_of_scales_and_seed():
    first = disco_basis.__wrapped__(BETWEEN)[1]
    assert disco_basis.__wrapped__(BETWEEN)[1].equal(first)
    other = disco_basis.__wrapped__(BETWEEN, seed=1)[1]
    assert 0 < (other - first).abs().max() < 0.1
    assert disco_basis(BETWEEN) is disco_basis(BETWEEN)
    assert disco_basis(BETWEEN)[2].equal(bank([2.0], 5)[0]), "whole scales are not fitted"


def test_a_fitted_basis_goes_with_the_weights():
    layer, other = DISCOConv2d(3, 4, BETWEEN), DISCOConv2d(3, 4, BETWEEN)
    layer.basis += 1
    other.load_state_dict(layer.state_dict())
    assert other.basis.equal(layer.basis)
    assert list(DISCOConv2d(3, 4).state_dict()) == ["weight"]


@pytest.mark.parametrize(
    ("scales", "message"),
    [((), "1 or more, rising"), ((0.5, 1), "1 or more, rising"), ((2, 1), "rising"), ((1.2, 1.5), "has to be whole")],
)
def test_wrong_scales_are_refused(scales, message):
    with pytest.raises(InputError, match=message):
        DISCOConv2d(3, 4, scales)
