"""The weighted loss over scale groups."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from monai_seunet import ScaleGroupLoss


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
    loss, logits = ScaleGroupLoss(2, ignore_index=255), torch.randn(1, 2, 3, 4, 4, requires_grad=True)
    value = loss(logits, torch.full((1, 1, 4, 4), 255))
    value.backward()
    assert value == 0 and not logits.grad.any() and not loss.scores.grad.any()


def test_dice_is_added_as_defined_and_ignores_what_is_ignored():
    torch.manual_seed(0)
    logits, label = torch.randn(2, 3, 2, 6, 5, dtype=torch.float64), torch.randint(0, 2, (2, 1, 6, 5))
    label[0, 0, :2] = 255
    plain = ScaleGroupLoss(3, ignore_index=255).per_scale(logits, label)
    added = ScaleGroupLoss(3, ignore_index=255, dice=0.5).per_scale(logits, label) - plain
    inside, nucleus = label[:, 0] != 255, label[:, 0] == 1
    for group in range(3):
        seen = logits[:, group].softmax(1)[:, 1][inside]
        truth = nucleus[inside].double()
        overlap = (2 * (seen * truth).sum() + 1e-5) / (seen.sum() + truth.sum() + 1e-5)
        assert abs(added[group] - 0.5 * (1 - overlap)) < 1e-9
    changed = logits.clone()
    changed[0, :, :, :2] += 3
    assert torch.equal(ScaleGroupLoss(3, ignore_index=255, dice=0.5).per_scale(changed, label), plain + added)


def test_equal_weights_stay_equal():
    loss = ScaleGroupLoss(2, trained_weights=False)
    logits, label = torch.randn(1, 2, 2, 4, 4, requires_grad=True), torch.randint(0, 2, (1, 1, 4, 4))
    optimiser = torch.optim.Adam(loss.parameters(), lr=1.0, weight_decay=0.1)
    value = loss(logits, label)
    value.backward()
    optimiser.step()
    assert loss.weights().tolist() == [0.5, 0.5] and logits.grad.abs().sum() > 0
    assert torch.isclose(value, loss.per_scale(logits, label).mean())
