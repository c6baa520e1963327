import numpy as np
import pytest
import torch
from instances import pixel_scores

from monai_seunet.metrics import class_dice, class_iou, class_mean, confusion_matrix


@pytest.mark.parametrize("num_classes", [2, 5])
def test_iou_and_dice_equal_set_arithmetic(num_classes):
    rng = np.random.default_rng(0)
    label = rng.integers(0, num_classes, (13, 17))
    predictions = np.stack([np.where(rng.random((13, 17)) < noise, 0, label) for noise in (0.2, 0.7)])
    matrix = confusion_matrix(torch.from_numpy(predictions), torch.from_numpy(label), num_classes)
    by_sets = [[pixel_scores(label == c, guess == c) for c in range(num_classes)] for guess in predictions]
    expected = np.array([[scores["pixel_iou"] for scores in of_one] for of_one in by_sets])
    np.testing.assert_allclose(class_iou(matrix), expected, rtol=1e-12)
    np.testing.assert_allclose(class_dice(matrix), 2 * expected / (1 + expected), rtol=1e-12)
    assert matrix.sum((1, 2)).tolist() == [13 * 17] * 2


def test_rows_are_truth_and_columns_are_predictions():
    matrix = confusion_matrix(torch.tensor([[1, 1, 1, 0]]), torch.tensor([0, 0, 1, 1]), 2)
    assert matrix.tolist() == [[[0, 2], [1, 1]]]


def test_counts_of_parts_add_up_and_ignored_pixels_do_not_count():
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 3, (8, 10), generator=generator)
    guess = torch.randint(0, 3, (1, 8, 10), generator=generator)
    whole = confusion_matrix(guess, label, 3)
    parts = confusion_matrix(guess[:, :3], label[:3], 3) + confusion_matrix(guess[:, 3:], label[3:], 3)
    assert torch.equal(whole, parts)
    label[:, :4] = 255
    kept = confusion_matrix(guess, label, 3, ignore_index=255)
    assert torch.equal(kept, confusion_matrix(guess[:, :, 4:], label[:, 4:], 3))
    assert not torch.equal(kept, whole)


def test_mean_takes_the_foreground_of_two_classes_and_all_of_more_and_leaves_out_absent_classes():
    assert class_mean(torch.tensor([0.9, 0.3])) == pytest.approx(0.3)
    assert class_mean(torch.tensor([0.9, 0.3]), include_background=True) == pytest.approx(0.6)
    assert class_mean(torch.tensor([0.9, 0.3, torch.nan])) == pytest.approx(0.6)
    absent = confusion_matrix(torch.zeros(1, 4), torch.zeros(4), 2)
    assert class_iou(absent)[0, 0] == 1 and class_iou(absent)[0, 1].isnan()


@pytest.mark.parametrize(
    ("prediction", "label", "message"),
    [
        (torch.zeros(1, 3, 4), torch.zeros(4, 3), r"\[1, 3, 4\] does not fit label of shape \[4, 3\]"),
        (torch.zeros(1, 4), torch.tensor([0, 1, 2, 0]), "label has class indices from 0 to 2, outside the 2 classes"),
        (torch.full((1, 4), -1), torch.zeros(4), "prediction has class indices from -1"),
    ],
)
def test_wrong_input_is_refused(prediction, label, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(prediction, label, 2)
