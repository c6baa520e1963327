"""Tests of the kinds of wrong objects, and of the scores of objects over scales."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage

from monai_seunet.metrics import MultiScaleObjects, ObjectScores, count_objects, error_kinds, object_overlaps
from monai_seunet.metrics.objects.errors import KINDS
from monai_seunet.metrics.objects.scores import COLUMNS, SCORES
from monai_seunet.metrics.segmentation_counts import segmentation_counts, segmentation_scores

VALUES = {"aji": "aji", "pq": "pq", "sq": "sq", "dq": "object_f1"}


def boxes(*places: tuple[int, int, int, int], side: int = 40) -> np.ndarray:
    """An instance map of rectangles (top, left, bottom, right)."""
    numbers = np.zeros((side, side), np.int32)
    for number, (top, left, bottom, right) in enumerate(places, start=1):
        numbers[top:bottom, left:right] = number
    return numbers


TRUTH = boxes((0, 0, 8, 8), (0, 10, 8, 18), (0, 18, 8, 26), (10, 0, 18, 8), (20, 0, 28, 8), (30, 0, 38, 8))
CASES = {
    "all right": (TRUTH, {"found": 6}),
    "nothing": (boxes(), {"missed": 6}),
    "two in one": (boxes((0, 10, 8, 26)), {"merged": 2, "missed": 4}),
    # 64 of 104 pixels of the first one, 40 of 64 of the second
    "two in one, one of them found all the same": (boxes((0, 10, 8, 23)), {"found": 1, "merged": 1, "missed": 4}),
    "one in two": (boxes((10, 0, 14, 8), (14, 0, 18, 8)), {"split": 1, "missed": 5}),
    "a piece of one": (boxes((10, 0, 14, 8)), {"inexact": 1, "missed": 5}),
    "far too large": (boxes((9, 0, 19, 14)), {"inexact": 1, "missed": 5}),
    "where nothing is": (boxes((30, 30, 38, 38)), {"missed": 6, "false": 1}),
}


@pytest.mark.parametrize("name", CASES)
def test_kinds_of_errors(name):
    found, expected = CASES[name]
    kinds = dict(zip(KINDS, error_kinds(object_overlaps(TRUTH, found)).tolist(), strict=True))
    assert {kind: count for kind, count in kinds.items() if count} == expected


def random_objects(seed: int) -> np.ndarray:
    """Overlapping rectangles, numbered with gaps."""
    draw = np.random.default_rng(seed)
    numbers = np.zeros((60, 70), np.int32)
    for number in draw.permutation(np.arange(1, 40))[:20]:
        top, left = draw.integers(0, 50, 2)
        numbers[top : top + draw.integers(2, 14), left : left + draw.integers(2, 14)] = number
    return numbers


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_those_of_the_other_scores_and_blind_to_the_numbering(seed):
    truth, found = random_objects(seed), random_objects(seed + 100 if seed else 0)
    counts = count_objects(truth, found)
    named = dict(zip(COLUMNS, counts, strict=True))
    assert sum(named[kind] for kind in KINDS[:-1]) == named["true"] == len(np.unique(truth)) - 1
    assert named["found"] == named["matched_50"] >= named["matched_70"] >= named["matched_90"]

    scores = ObjectScores((1.0,), counts[None, None])
    label, guess = torch.from_numpy(truth > 0).long(), torch.from_numpy(found > 0).long()
    # connected areas of a class map are other objects than these: only true ones are compared, by exchange
    other = segmentation_scores(segmentation_counts(guess[None], label, 2, torch.from_numpy(truth)))
    areas = ObjectScores((1.0,), count_objects(truth, ndimage.label(found > 0)[0])[None, None])
    for name, theirs in VALUES.items():
        assert areas.curve(name)[0] == pytest.approx(float(other[theirs][0]), nan_ok=True)

    numbers = np.random.default_rng(seed).permutation(np.arange(1, found.max() + 2))
    renumbered = np.where(found > 0, numbers[found - 1], 0)
    assert np.array_equal(count_objects(truth, renumbered), counts)
    assert np.array_equal(count_objects(truth.T, found.T), counts)
    assert set(scores.image_scores) == set(SCORES)


def test_means_and_intervals_are_over_the_images():
    images = [count_objects(random_objects(n), random_objects(n + 50)) for n in range(6)]
    images.append(count_objects(boxes(), boxes()))  # has no score
    scores = ObjectScores((0.5, 1.0), np.stack([images, [np.full(len(COLUMNS), np.nan)] * 5 + images[5:]]))
    values = scores.image_scores["pq"]
    assert np.isnan(values[:, 6]).all() and np.isnan(values[1, :5]).all()
    assert scores.curve("pq")[0] == pytest.approx(values[0, :6].mean())
    low, high = scores.interval("pq")[0]
    assert values[0, :6].min() <= low < scores.curve("pq")[0] < high <= values[0, :6].max()
    assert np.isnan(scores.interval("pq")[1]).all()  # a single image says nothing of others
    assert np.array_equal(scores.interval("pq"), scores.interval("pq"), equal_nan=True)

    again = ObjectScores.from_dict(scores.to_dict())
    assert again.scales == scores.scales and np.array_equal(again.counts, scores.counts, equal_nan=True)
    with pytest.raises(ValueError, match="columns"):
        ObjectScores.from_dict(scores.to_dict() | {"columns": ["true"]})


def test_metric_finds_objects_of_the_fused_prediction_at_every_scale():
    asked = []

    def finder(probabilities: torch.Tensor, scale: float, directions: torch.Tensor | None) -> np.ndarray:
        assert directions is None
        asked.append((tuple(probabilities.shape), scale))
        return ndimage.label(probabilities[1].numpy() > 0.5)[0]

    metric = MultiScaleObjects(finder, (0.5, 1.0), strategy="p_max")
    assert np.isnan(metric.compute()) and metric.result().counts.shape == (2, 0, len(COLUMNS))
    truth = boxes((0, 0, 8, 8), (20, 20, 30, 30))
    sure = torch.from_numpy(truth > 0).float()
    heads = torch.stack([torch.stack([1 - sure, sure]), torch.full((2, 40, 40), 0.5)])
    for image in (7, 3):
        for scale in (1.0, 0.5):
            meta = {"test_scale": scale, "test_image": image}
            objects = MetaTensor(torch.from_numpy(truth)[None], meta=meta)
            pred = heads if image == 7 else heads.flip(1)  # all that is background
            item = {"pred": pred, "label": (objects > 0).long(), "objects": objects}
            metric.update(metric._output_transform([item, {"pred": pred}]))
    assert asked == [((2, 40, 40), 1.0), ((2, 40, 40), 0.5)] * 2
    found = metric.result()
    assert found.counts.shape == (2, 2, len(COLUMNS))
    assert found.image_scores["aji"][:, 1].tolist() == [1, 1]  # image 7 comes after image 3
    assert (found.image_scores["aji"][:, 0] < 0.2).all()
    assert metric.compute() == pytest.approx(float(found.curve("aji").mean()))
    with pytest.raises(ValueError, match="scale 2"):
        objects = MetaTensor(torch.from_numpy(truth)[None], meta={"test_scale": 2.0})
        metric.update(metric._output_transform([{"pred": heads, "label": objects, "objects": objects}]))


def test_pixels_that_are_ignored_are_of_no_object():
    truth, found = boxes((0, 0, 8, 8), (20, 20, 30, 30)), boxes((0, 0, 8, 8), (10, 20, 30, 30))
    label = torch.from_numpy(truth > 0).long()
    label[10:20] = 255  # where too much was found
    objects, pred = torch.from_numpy(truth)[None], torch.zeros(2, 40, 40)
    for ignored, expected in ((255, 1.0), (None, (64 + 100) / (64 + 200))):
        metric = MultiScaleObjects(lambda *_: found, ignore_index=ignored)
        metric.update([(pred, label[None], objects, 1.0, 0, None)])
        assert metric.compute() == pytest.approx(expected)
