import numpy as np
import pytest
import torch
from instances import flood_fill, instance_sets, random_objects, scores_by_loops
from monai.metrics.panoptic_quality import compute_panoptic_quality

from monai_seunet.metrics import connected_objects, object_counts, object_overlaps, segmentation_scores


def scores_of(truth: np.ndarray, guess: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    counts = np.concatenate([np.zeros(3), object_counts(truth, guess, threshold)])
    return {name: float(value) for name, value in segmentation_scores(counts[None]).items()}


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs, and the same blobs moved and disturbed, so some match, some do not and some are missing."""
    mask = random_objects(seed)
    guess = np.roll(mask, (seed % 2, 1), (0, 1)) ^ random_objects(seed + 100, share=0.05)
    return connected_objects(mask), connected_objects(guess)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("threshold", [0.5, 0.6])
def test_scores_equal_loops_over_pairs_of_objects(seed, threshold):
    truth, guess = pair(seed)
    expected = scores_by_loops(instance_sets(truth), instance_sets(guess), threshold)
    assert 0 < expected["object_f1"] < 1
    ours = scores_of(truth, guess, threshold)
    assert {name: ours[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_a_case_by_hand():
    truth = np.array([[1, 1, 0, 2, 2, 2],
                      [1, 1, 0, 2, 2, 2],
                      [0, 0, 0, 0, 0, 0],
                      [7, 7, 0, 0, 0, 0]])  # fmt: skip
    guess = np.array([[5, 5, 0, 3, 3, 9],
                      [5, 0, 0, 3, 3, 9],
                      [0, 0, 0, 0, 0, 0],
                      [0, 0, 0, 4, 4, 4]])  # fmt: skip
    # IoU 3/4 and 4/6; 9 has 2/6 with object 2, object 7 is missed, 4 is false
    tp, fp, fn = 2, 2, 1
    ours = scores_of(truth, guess)
    assert ours["object_f1"] == ours["dq"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert ours["sq"] == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert ours["pq"] == pytest.approx(ours["sq"] * ours["dq"])
    assert ours["aji"] == pytest.approx((3 + 4) / (4 + 6 + 2 + 2 + 3))  # object 7, then 9 and 4
    assert scores_of(truth, guess, 0.7)["object_f1"] == pytest.approx(2 / (2 + 3 + 2))


@pytest.mark.parametrize("seed", range(3))
def test_matches_are_those_of_monai(seed):
    truth, guess = pair(seed)
    theirs = compute_panoptic_quality(torch.as_tensor(guess), torch.as_tensor(truth), output_confusion_matrix=True)
    np.testing.assert_allclose(object_counts(truth, guess)[:4], theirs.numpy(), rtol=1e-6)


def test_numbering_and_pose_change_nothing():
    truth, guess = pair(1)
    counts = object_counts(truth, guess)
    strange = np.where(truth > 0, 10**12 - 7 * truth.astype(np.int64), 0)
    np.testing.assert_array_equal(object_counts(strange, guess.astype(np.uint16)), counts)
    for turns in (1, 2, 3):
        turned = connected_objects(np.rot90(guess > 0, turns))
        np.testing.assert_array_equal(object_counts(np.rot90(truth, turns), turned), counts)
    assert not np.array_equal(object_counts(np.rot90(truth), guess), counts)


@pytest.mark.parametrize("factor", [1, 10**6], ids=["numbers from 1", "sparse numbers"])
def test_more_objects_than_16_bits_number_are_counted_one_by_one(factor):
    truth = np.arange(1, 90_001).reshape(300, 300)
    guess = np.where(truth <= 70_000, truth, 0)
    assert object_counts(truth * factor, guess)[:3].tolist() == [70_000, 0, 20_000]


def test_half_is_no_match_and_needs_no_tie():
    truth = np.array([[1, 1, 1, 1]])
    assert object_counts(truth, np.array([[1, 1, 2, 2]]))[0] == 0
    assert object_counts(truth, np.array([[1, 1, 1, 2]]))[0] == 1


def test_overlaps_are_the_contingency_table():
    truth, guess = pair(2)
    overlaps = object_overlaps(truth, guess)
    true_sets, guessed_sets = instance_sets(truth), instance_sets(guess)
    table = np.zeros((len(true_sets), len(guessed_sets)), dtype=int)
    table[overlaps.truth, overlaps.prediction] = overlaps.shared
    np.testing.assert_array_equal(table, [[len(t & g) for g in guessed_sets] for t in true_sets])
    assert overlaps.truth_areas.tolist() == [len(t) for t in true_sets]


def test_connected_objects_are_those_of_a_flood_fill_without_small_ones():
    mask = random_objects(5, share=0.5) & (np.random.default_rng(0).random((40, 40)) > 0.3)
    areas = flood_fill(mask)
    for least in (0, 1, 5):
        found = instance_sets(connected_objects(mask, least))
        assert sorted(map(sorted, found)) == sorted(sorted(area) for area in areas if len(area) >= least)
    assert min(map(len, areas)) < 5


NOTHING, SOMETHING = np.zeros((4, 4), dtype=int), np.eye(4, dtype=int) * np.arange(1, 5)


@pytest.mark.parametrize(
    ("truth", "guess", "undefined"),
    [
        (NOTHING, NOTHING, {"object_precision", "object_recall", "object_f1", "aji", "pq", "sq", "dq"}),
        (NOTHING, SOMETHING, {"object_recall", "sq"}),
        (SOMETHING, NOTHING, {"object_precision", "sq"}),
    ],
)
def test_empty_truth_and_empty_prediction(truth, guess, undefined):
    ours = {name: value for name, value in scores_of(truth, guess).items() if not name.startswith("pixel")}
    assert {name for name, value in ours.items() if np.isnan(value)} == undefined
    assert all(value == 0 for name, value in ours.items() if name not in undefined)


@pytest.mark.parametrize("threshold", [0.0, 0.49, 1.0, float("nan")])
def test_a_threshold_at_which_matches_are_ambiguous_or_impossible_is_refused(threshold):
    with pytest.raises(ValueError, match=r"give at least 0\.5, where a match is unique"):
        object_counts(NOTHING, NOTHING, threshold)


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[4, 4\] and prediction of shape \[4, 3\] differ"):
        object_counts(NOTHING, NOTHING[:, :3])
