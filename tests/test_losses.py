"""The weighted loss over scale groups."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from monai_seunet import ScaleGroupLoss
from monai_seunet.fusion import STRATEGIES, fuse


@pytest.mark.parametrize("classes", [2, 5])
def test_equals_the_definition(classes):
    loss = ScaleGroupLoss(3)
    loss.scores.data = torch.tensor([0.5, -1.0, 2.0])
    logits, label = torch.randn(2, 3, classes, 4, 5), torch.randint(classes, (2, 1, 4, 5))
    eta = loss.scores.exp() / loss.scores.exp().sum()
    eta = (eta + 1 / 3) / (eta + 1 / 3).sum()
    probabilities = logits.softmax(2)
    expected = 0.0
    for k in range(3):
        right = probabilities[:, k].gather(1, label)
        expected = expected - eta[k] * right.log().mean()
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


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="num_scales=5 and got logits of shape"):
        ScaleGroupLoss(5)(torch.zeros(1, 3, 2, 4, 4), torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match="does not fit"):
        ScaleGroupLoss(3)(torch.zeros(1, 3, 2, 4, 4), torch.zeros(1, 1, 4, 5))


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
        (gradient,) = torch.autograd.grad(loss.fused_dice(logits, label), logits)
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
