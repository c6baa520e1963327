"""The weighted loss over scale groups."""

import pytest
import torch
from torch.nn import functional as F

from monai_seunet import ScaleGroupLoss
from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.losses import DirectionLoss
from monai_seunet.transforms import CentreDirections
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize("classes", [2, 5])
def test_equals_the_definition(classes):
    loss = ScaleGroupLoss(3)
    loss.scores.data = torch.tensor([0.5, -1.0, 2.0])
    logits, label = torch.randn(2, 3, classes, 4, 5), torch.randint(classes, (2, 1, 4, 5))
    eta = loss.scores.exp() / loss.scores.exp().sum()
    eta = (eta + 1 / 3) / (eta + 1 / 3).sum()
    right = [groups.gather(1, label) for groups in logits.softmax(2).unbind(1)]
    expected = sum(-eta[k] * right[k].log().mean() for k in range(3))
    torch.testing.assert_close(loss(logits, label), expected)


def test_weights_start_equal_and_never_let_a_group_die():
    loss = ScaleGroupLoss(5)
    torch.testing.assert_close(loss.weights(), torch.full((5,), 0.2))
    loss.scores.data = torch.tensor([100.0, 0, 0, 0, 0])
    torch.testing.assert_close(loss.weights(), torch.tensor([0.6, 0.1, 0.1, 0.1, 0.1]))


def test_weights_move_towards_the_groups_with_less_loss():
    loss, label = ScaleGroupLoss(2), torch.ones(1, 1, 4, 4, dtype=torch.long)
    logits = torch.zeros(1, 2, 2, 4, 4)
    logits[:, 0, 1] = 3.0
    loss(logits, label).backward()
    assert loss.scores.grad[0] < 0 < loss.scores.grad[1]


def test_a_network_with_one_prediction_has_plain_cross_entropy():
    logits, label = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 1, 4, 5))
    torch.testing.assert_close(ScaleGroupLoss(1)(logits, label), F.cross_entropy(logits, label[:, 0]))


def test_ignored_pixels_and_class_weights():
    logits, label = torch.randn(1, 1, 3, 4, 4), torch.randint(3, (1, 1, 4, 4))
    label[..., 0] = 255
    loss = ScaleGroupLoss(1, class_weights=[1, 2, 3], ignore_index=255)
    changed = logits.clone()
    changed[..., 0] += torch.randn(1, 1, 3, 4)
    torch.testing.assert_close(loss(logits, label), loss(changed, label))
    expected = F.cross_entropy(logits[:, 0], label[:, 0], torch.tensor([1.0, 2, 3]), ignore_index=255)
    torch.testing.assert_close(loss(logits, label), expected)


def test_a_batch_without_a_pixel_that_counts_teaches_nothing():
    loss, logits = ScaleGroupLoss(2, ignore_index=255, dice=1), torch.randn(1, 2, 3, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 1, 4, 4), 255))
    value.backward()
    assert value == 0 and not logits.grad.any() and not loss.scores.grad.any()


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_dice_of_the_fused_prediction_is_added_as_defined_and_ignores_what_is_ignored(fusion):
    logits, label = torch.randn(2, 3, 2, 6, 5, dtype=torch.float64), torch.randint(0, 2, (2, 1, 6, 5))
    label[0, 0, :2] = 255
    loss = ScaleGroupLoss(3, ignore_index=255, dice=0.5, fusion=fusion)
    value = loss(logits, label)
    seen = torch.where(label[:, None] == 255, torch.tensor([1.0, 0]).view(1, 1, 2, 1, 1), logits.softmax(2))
    seen = fuse(seen, fusion)[:, 1][label[:, 0] != 255]
    truth = (label[label != 255] == 1).double()
    overlap = (2 * (seen * truth).sum() + 1e-5) / (seen.sum() + truth.sum() + 1e-5)
    torch.testing.assert_close(value, ScaleGroupLoss(3, ignore_index=255)(logits, label) + 0.5 * (1 - overlap))
    logits[0, :, :, :2] += torch.tensor([3.0, -3.0])[:, None, None]
    assert torch.equal(loss(logits, label), value)


def test_dice_of_the_maximum_urges_no_group_to_see_what_another_sees():
    label = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    label[..., :4, :4] = 1
    seeing, blind = 2.0 * label - 1, torch.full((1, 1, 8, 8), -3.0)
    logits = torch.cat([torch.cat([-x, x], 1)[:, None] for x in (seeing, blind)], 1).requires_grad_()
    for fusion, urged in (("p_max", False), ("arithmetic", True)):
        loss = ScaleGroupLoss(2, dice=1, fusion=fusion)
        (gradient,) = torch.autograd.grad(loss.fused_dice(loss.fused(logits, label), label), logits)
        assert gradient[:, 0].any() and bool(gradient[:, 1].any()) == urged


def test_equal_weights_stay_equal():
    loss = ScaleGroupLoss(2, trained_weights=False)
    logits, label = torch.randn(1, 2, 2, 4, 4, requires_grad=True), torch.randint(0, 2, (1, 1, 4, 4))
    optimiser = torch.optim.Adam(loss.parameters(), lr=1.0, weight_decay=0.1)
    value = loss(logits, label)
    value.backward()
    optimiser.step()
    assert loss.weights().tolist() == [0.5, 0.5] and logits.grad.abs().sum() > 0
    assert torch.isclose(value, loss.per_scale(logits, label).mean())


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_the_rest_of_the_groups_is_the_cross_entropy_of_the_fused_prediction(fusion):
    logits, label = torch.randn(2, 3, 3, 6, 5, dtype=torch.float64), torch.randint(0, 3, (2, 1, 6, 5))
    label[0, 0, :2] = 255
    loss = ScaleGroupLoss(3, ignore_index=255, fusion=fusion, group_share=0.3)
    seen = torch.where(label[:, None] == 255, torch.tensor([1.0, 0, 0]).view(1, 1, 3, 1, 1), logits.softmax(2))
    fused = F.nll_loss(fuse(seen, fusion).log(), label[:, 0], ignore_index=255)
    each = ScaleGroupLoss(3, ignore_index=255)(logits, label)
    torch.testing.assert_close(loss(logits, label), 0.3 * each + 0.7 * fused)
    logits[0, ..., :2, :] += torch.randn(3, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(loss(logits, label), 0.3 * each + 0.7 * fused, msg="ignored pixels have no influence")


def test_without_a_share_of_their_own_groups_learn_where_they_are_heard():
    label = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    label[..., :4, :4] = 1
    seeing, blind = 4.0 * label - 2, torch.full((1, 1, 8, 8), -2.0)
    logits = torch.cat([torch.cat([-x, x], 1)[:, None] for x in (seeing, blind)], 1).requires_grad_()
    pulls = {}
    for share in (1.0, 0.0):
        (gradient,) = torch.autograd.grad(ScaleGroupLoss(2, fusion="p_power", group_share=share)(logits, label), logits)
        pulls[share] = gradient[0, :, 1, :4, :4].abs().sum((1, 2))
    assert pulls[1.0][1] > 10 * pulls[1.0][0], "alone, the blind group has the larger error"
    assert pulls[0.0][1] < 1e-3 * pulls[0.0][0], "fused, the other group is heard"


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_impossible_shares_are_refused(share):
    with pytest.raises(InputError, match="group_share is"):
        ScaleGroupLoss(2, group_share=share)


@pytest.mark.parametrize("fusion", ["p_conf", "p_power", "p_max"])
def test_directions_are_learned_by_the_groups_that_are_heard(fusion):
    target, outputs = targets(), torch.randn(2, 3, 4, 24, 30, dtype=torch.float64)
    outputs[:, 2, 1] -= 50  # the last group finds nothing
    loss = ScaleGroupLoss(3, directions=1, fusion=fusion, group_share=0.0)
    loss.direction_loss = DirectionLoss(1)
    shares = loss.shares(outputs[:, :, :2])
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 24, 30, dtype=torch.float64))
    assert shares[:, 2].max() < 1e-4
    label = torch.cat([target[:, 2:], target], 1)
    pulls = {}
    for share in (0.0, 1.0):
        loss.group_share = share
        (gradient,) = torch.autograd.grad(loss(outputs.requires_grad_(), label), outputs)
        pulls[share] = gradient[:, :, 2:].abs().sum((0, 2, 3, 4))
    assert pulls[0.0][2] < 1e-3 * pulls[0.0][0] and pulls[1.0][2] > 0.5 * pulls[1.0][0]


def targets(height: int = 24, width: int = 30) -> torch.Tensor:
    """What two images with whole and cut objects say, (2, 3, H, W), float64."""
    instances = torch.zeros(2, 1, height, width, dtype=torch.long)
    instances[0, 0, 2:9, 3:11], instances[0, 0, 12:20, 14:22] = 1, 2
    instances[0, 0, :5, 20:26] = 3  # cut by the border
    instances[1, 0, 10:16, 5:25] = 1
    found = torch.stack([CentreDirections()(one) for one in instances]).double()
    assert found[0, 2].sum() == 7 * 8 + 8 * 8 and found[1, 2].sum() == 6 * 20
    return found


@pytest.mark.parametrize("step", [1, 3])
def test_right_directions_cost_nothing(step):
    target = targets()
    right = target[:, None, :2].expand(-1, 4, -1, -1, -1).clone()
    wrong = right.clone()
    wrong[0, 2, 1, 4:8, 5:9] += 1
    loss = DirectionLoss(step)
    assert loss(right, target) == 0 and loss(wrong, target) > 1e-3
    outside = right + 5 * (target[:, 2:] == 0)[:, None]
    assert loss(outside, target) == 0, "background and cut objects do not count"


def test_the_direction_loss_is_the_mean_squared_length_of_the_error():
    target, directions = targets(), torch.randn(2, 3, 2, 24, 30, dtype=torch.float64)
    total, count = 0.0, 0
    for b, y, x in target[:, 2].nonzero().tolist():
        for k in range(3):
            error = directions[b, k, :, y, x] - target[b, :2, y, x]
            total, count = total + float(error[0] ** 2 + error[1] ** 2), count + 1
    assert count == 3 * (7 * 8 + 8 * 8 + 6 * 20)
    assert float(DirectionLoss(1)(directions, target)) == pytest.approx(total / count, rel=1e-12)


def test_each_start_takes_other_pixels_and_together_they_take_all():
    target, directions = targets(), torch.randn(2, 1, 2, 24, 30, dtype=torch.float64)
    loss, seen = DirectionLoss(4), set()
    reached = torch.zeros(2, 24, 30, dtype=torch.int64)
    for _ in range(60):
        found = directions.clone().requires_grad_()
        loss(found, target).backward()
        taken = (found.grad != 0).any(2)[:, 0]
        start = tuple(taken.flatten().nonzero()[:, 0].tolist())
        if start not in seen:
            seen.add(start)
            reached += taken
    assert len(seen) == 4 and torch.equal(reached, target[:, 2].long()), "every pixel by one start"
    values = {float(loss(directions, target)) for _ in range(60)}
    assert len(values) == 4
    assert sum(values) / 4 == pytest.approx(float(DirectionLoss(1)(directions, target)), rel=1e-10)


@pytest.mark.parametrize("step", [1, 3])
def test_no_pixel_of_a_whole_object_costs_nothing_and_teaches_nothing(step):
    directions, target = torch.randn(2, 3, 2, 6, 7, requires_grad=True), torch.randn(2, 3, 6, 7)
    target[:, 2] = 0
    loss = DirectionLoss(step)(directions, target)
    loss.backward()
    assert loss == 0 and not directions.grad.any()


def test_the_gradient_of_the_directions_reaches_all_groups_and_only_whole_objects():
    target = targets()
    directions = torch.randn(2, 5, 2, 24, 30, dtype=torch.float64, requires_grad=True)
    DirectionLoss(1)(directions, target).backward()
    counts = (target[:, 2] > 0)[:, None, None].expand_as(directions)
    assert (directions.grad[counts] != 0).all() and not directions.grad[~counts].any()
    expected = 2 * (directions.detach() - target[:, None, :2]) * counts / (5 * target[:, 2].sum())
    torch.testing.assert_close(directions.grad, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("directions", "target"),
    [
        ((2, 2, 8, 9), (2, 3, 8, 9)),
        ((2, 4, 3, 8, 9), (2, 3, 8, 9)),
        ((2, 4, 2, 8, 9), (2, 2, 8, 9)),
        ((2, 4, 2, 8, 9), (2, 3, 9, 8)),
        ((2, 4, 2, 8, 9), (1, 3, 8, 9)),
    ],
)
def test_targets_that_do_not_fit_the_directions_are_refused(directions, target):
    with pytest.raises(ValueError, match=r"directions of shape .* and a target of shape .* do not fit"):
        DirectionLoss()(torch.zeros(directions), torch.zeros(target))


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("options", [{}, {"dice": 0.5, "ignore_index": 255}])
def test_the_loss_with_directions_is_the_sum_of_both(groups, options):
    target, classes = targets(), torch.randint(2, (2, 1, 24, 30))
    classes[0, 0, :3] = 255 if options else 0
    outputs = torch.randn(2, groups, 4, 24, 30, dtype=torch.float64, requires_grad=True)
    loss, plain = ScaleGroupLoss(groups, directions=0.7, **options), ScaleGroupLoss(groups, **options)
    loss.direction_loss = DirectionLoss(1)
    value = loss(outputs if groups > 1 else outputs[:, 0], torch.cat([classes, target], 1))
    expected = plain(outputs[:, :, :2], classes) + 0.7 * DirectionLoss(1)(outputs[:, :, 2:], target)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    assert abs(value - plain(outputs[:, :, :2], classes)) > 1e-2
    torch.testing.assert_close(loss.latest, plain.latest, rtol=0, atol=0)
    value.backward()
    assert (outputs.grad.abs().sum((0, 3, 4)) > 0).all(), "of all groups and all channels"


@pytest.mark.parametrize(
    ("directions", "outputs", "label", "message"),
    [
        (None, (1, 2, 2, 6, 6), (1, 1, 6, 6), "num_scales=3 and got logits of shape"),
        (None, (1, 3, 2, 6, 6), (1, 1, 6, 7), "does not fit"),
        (None, (1, 3, 4, 6, 6), (1, 4, 6, 6), "does not fit"),
        (1, (1, 2, 4, 6, 6), (1, 4, 6, 6), "num_scales=3 and got logits of shape"),
        (1, (1, 3, 4, 6, 6), (1, 4, 6, 7), "does not fit"),
        (1, (1, 3, 4, 6, 6), (1, 1, 6, 6), "has directions=1 and got outputs of shape .* and a label of shape"),
        (1, (1, 3, 2, 6, 6), (1, 4, 6, 6), "has directions=1 and got outputs of shape .* and a label of shape"),
        (1, (1, 3, 6, 6), (1, 4, 6, 6), "has directions=1 and got outputs of shape .* and a label of shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(directions, outputs, label, message):
    with pytest.raises(ValueError, match=message):
        ScaleGroupLoss(3, directions=directions)(torch.zeros(outputs), torch.zeros(label))


def test_directions_that_are_not_trained_leave_the_loss_of_the_classes():
    outputs = torch.randn(2, 3, 4, 8, 9, requires_grad=True)
    label = torch.randint(2, (2, 1, 8, 9))
    options = {"num_scales": 3, "dice": 1.0, "fusion": "p_power"}
    loss = ScaleGroupLoss(**options, directions=0)(outputs, label)
    assert float(loss) == pytest.approx(float(ScaleGroupLoss(**options)(outputs[:, :, :2], label)))
    loss.backward()
    assert outputs.grad[:, :, :2].any() and not outputs.grad[:, :, 2:].any()
    with pytest.raises(InputError, match="direction_weight is -1; give 0 or more"):
        ScaleGroupLoss(directions=-1)
