"""The certificate's measures: zero where a law holds, not zero for the controls."""

import pytest
import torch
from torch import nn

from monai_seunet.certificate import measure
from monai_seunet.networks import EquivariantUNet, GDenseUNet, PlainUNet, RotoScaleUNet, SEUNet


@pytest.mark.parametrize(
    ("network", "group"),
    [
        (PlainUNet(width=2), "p1"),
        (SEUNet(width=5), "p1"),
        (EquivariantUNet(width=8, num_levels=2, group="p4"), "p4"),
        (GDenseUNet(width=8, num_levels=2), "p4m"),
        (RotoScaleUNet(width=8, num_levels=1, scales_per_octave=1), "p4m"),
    ],
)
def test_the_group_that_a_network_promises(network, group):
    assert measure.promised_group(network) == group


def test_turns_are_exact_for_the_promised_group_and_a_good_side_alone():
    net = EquivariantUNet(3, width=8, num_levels=3, group="p4").eval()
    images = torch.rand(2, 3, 40, 36)
    sides = measure.tried_sides(34, int(net.stride))
    assert sides == {"multiple": 32, "padded": 30, "odd": 31}
    errors = {kind: measure.rotation_errors(net, images, side, torch.float64) for kind, side in sides.items()}
    for kind in ("multiple", "padded"):
        assert max(errors[kind][:3]) < 1e-12 < 1e-3 < min(errors[kind][3:])
    assert min(errors["odd"]) > 1e-3
    assert 1e-12 < max(measure.rotation_errors(net, images, 32, torch.float32)[:3]) < 1e-4
    assert next(net.parameters()).dtype == torch.float32
    exact = EquivariantUNet(3, width=8, num_levels=3, sizes="exact").eval()
    assert measure.rotation_errors(exact, images, 31, torch.float32) is None


def test_shifts_by_the_stride_are_exact_beyond_the_receptive_field_alone():
    net = PlainUNet(width=4, num_levels=2).double().eval()  # radius of its receptive field: at most 12 pixels
    images = torch.rand(2, 3, 72, 70, dtype=torch.float64)
    errors = {shift: measure.shift_errors(measure.group_predictor(net), images, 64, shift) for shift in (1, 2)}
    assert errors[2].margins == [0, 2, 4, 8, 12, 16, 20, 24]
    assert errors[2].differences[0] > 1e-4 and max(errors[2].differences[4:]) < 1e-12
    assert min(errors[1].differences) > 1e-4
    assert all(0 <= share <= 1 for share in errors[1].changed) and max(errors[2].changed[4:]) == 0
    assert errors[2].differences == sorted(errors[2].differences, reverse=True)


def test_the_prediction_fuses_the_groups():
    image = torch.rand(3, 16, 16)
    for net in (SEUNet(width=5), SEUNet(width=5, fusion="p_max"), PlainUNet(width=2)):
        probabilities = measure.predictor(net.eval().folded(), "p_max")(image)
        assert probabilities.shape == (2, 16, 16)
        torch.testing.assert_close(probabilities.sum(0), torch.ones(16, 16))
    torch.testing.assert_close(probabilities, net(image[None])[0].softmax(0), atol=1e-5, rtol=0)


def test_norms_of_random_weights_fit_the_images():
    images = 0.7 + 0.1 * torch.rand(3, 3, 32, 32)
    net = measure.set_norms(PlainUNet(width=4, num_levels=2), images)
    norm = net.encoder[0][0].norm
    seen = torch.nn.functional.conv2d(images, net.encoder[0][0].conv.weight, padding=1)
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-5, rtol=1e-4)
    assert not net.training and all(m.momentum == 0.1 for m in net.modules() if isinstance(m, nn.BatchNorm2d))
