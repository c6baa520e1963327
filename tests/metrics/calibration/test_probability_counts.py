"""Tests of counts of predictions by their probability, and of the errors that are computed from them."""

import json

import numpy as np
import pytest
import torch
from monai.metrics import CalibrationErrorMetric

from monai_seunet.fusion import fuse
from monai_seunet.metrics import Calibration, MultiScaleObjects, MultiScaleScore, ScaleScores, count_probabilities
from monai_seunet.metrics.calibration.counts import BINS
from monai_seunet.metrics.objects.scores import ObjectScores
from monai_seunet.slides.nuclei.finder import NucleusFinder


def calibration(probabilities: torch.Tensor, truth: torch.Tensor) -> Calibration:
    return Calibration.of_counts(count_probabilities(probabilities, truth).numpy())


def shares(*pairs: tuple[float, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions of a probability, so many of them, of which so many are true."""
    probabilities = torch.cat([torch.full((number,), value) for value, number, _ in pairs])
    return probabilities, torch.cat([torch.arange(number) < true for _, number, true in pairs])


def test_a_small_case_by_hand():
    found = calibration(torch.tensor([0.0, 0.5, 0.5, 0.75, 1.0]), torch.tensor([False, True, False, True, False]))
    assert found.counts.tolist() == [1, *[0] * 6, 2, *[0] * 3, 1, 0, 0, 1]
    assert found.true.tolist() == [*[0] * 7, 1, *[0] * 3, 1, *[0] * 3]
    assert found.probability[[0, 7, 11, 14]].tolist() == [0, 0.5, 0.75, 1]
    assert found.share[[0, 7, 11, 14]].tolist() == [0, 0.5, 1, 0]
    assert np.isnan(found.probability).sum() == np.isnan(found.share).sum() == BINS - 4
    assert found.error == pytest.approx((0.25 + 1) / 5) and found.overconfidence == pytest.approx((-0.25 + 1) / 5)


def test_probabilities_that_are_shares_have_no_error_and_others_have_theirs():
    assert calibration(*shares((0.25, 8, 2), (0.5, 4, 2), (0.75, 40, 30), (1.0, 5, 5))).error == 0
    sure = calibration(*shares((0.75, 40, 20), (1.0, 60, 45)))
    assert sure.error == sure.overconfidence == pytest.approx(0.25)
    timid = calibration(*shares((0.5, 50, 45)))
    assert timid.error == pytest.approx(0.4) and timid.overconfidence == pytest.approx(-0.4)
    both = calibration(*shares((0.25, 10, 5), (0.75, 10, 5)))
    assert both.error == pytest.approx(0.25) and both.overconfidence == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_error_is_that_of_monai(dtype):
    draw = torch.Generator().manual_seed(0)
    probabilities = torch.rand(5000, generator=draw).to(dtype)
    truth = torch.rand(5000, generator=draw) < probabilities**2
    theirs = CalibrationErrorMetric(num_bins=BINS)
    theirs(y_pred=probabilities[None, None], y=truth[None, None].float())
    assert calibration(probabilities, truth).error == pytest.approx(float(theirs.aggregate()), abs=1e-5)


def test_parts_add_up_to_the_whole_and_survive_json():
    draw = torch.Generator().manual_seed(1)
    probabilities, truth = torch.rand(1000, generator=draw), torch.rand(1000, generator=draw) < 0.5
    whole = calibration(probabilities, truth)
    parts = [calibration(*part) for part in zip(probabilities.split(300), truth.split(300), strict=True)]
    assert Calibration.joined(parts).to_dict() == whole.to_dict()
    assert Calibration.from_dict(json.loads(json.dumps(whole.to_dict()))).to_dict() == whole.to_dict()


def test_nothing_has_no_error_and_other_shapes_are_refused():
    nothing = calibration(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
    assert np.isnan(nothing.error) and np.isnan(nothing.overconfidence)
    with pytest.raises(ValueError, match="differ"):
        count_probabilities(torch.zeros(3), torch.zeros(4, dtype=torch.bool))


def image(seed: int, heads: int = 3, classes: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(heads, classes, 30, 20, generator=draw).mul(5).softmax(1)
    return probabilities, torch.randint(0, classes, (1, 30, 20), generator=draw)


@pytest.mark.parametrize("strategy", ["p_ens", "p_max", "p_conf"])
def test_pixels_of_the_used_fusion_are_counted_at_their_scale(strategy, monkeypatch):
    monkeypatch.setattr("monai_seunet.metrics.multi_scale._STRIP_PIXELS", 100)  # several strips an image
    metric = MultiScaleScore(scales=(0.5, 1.0), strategy=strategy)
    images = [image(seed) for seed in range(3)]
    metric.update([(*images[0], 1.0), (*images[1], 0.5), (*images[2], 1.0)])
    ((name, found),) = metric.result().calibration.items()
    assert name == strategy
    for index, ours in ((0, images[1:2]), (1, images[::2])):
        fused = torch.stack([fuse(probabilities[None], strategy)[0, 1] for probabilities, _ in ours])
        expected = calibration(fused, torch.stack([label[0] == 1 for _, label in ours]))
        assert found[index].counts.tolist() == expected.counts.tolist()
        assert found[index].true.tolist() == expected.true.tolist()
        np.testing.assert_allclose(found[index].sums, expected.sums, atol=1e-3)
    assert found.pooled.counts.sum() == 3 * 600


def test_ignored_pixels_are_not_counted_and_all_classes_but_0_are_foreground():
    probabilities, label = image(0, heads=1, classes=3)
    label[:, :10] = 255
    metric = MultiScaleScore(ignore_index=255)
    metric.update([(probabilities, label, 1.0)])
    ((name, found),) = metric.result().calibration.items()
    expected = calibration(1 - probabilities[0, 0, 10:], label[0, 10:] > 0)
    assert name == "head 1" and found.counts.sum() == 400
    assert found.error[0] == pytest.approx(float(expected.error), abs=1e-6)


def test_folds_are_joined_to_the_pixels_of_all_images():
    whole, parts = MultiScaleScore(), []
    for seed in range(3):
        part = MultiScaleScore()
        for metric in (whole, part):
            metric.update([(*image(seed), 1.0)])
        parts.append(ScaleScores.from_dict(json.loads(json.dumps(part.result().to_dict()))))
    joined = ScaleScores.joined(parts)
    assert joined.to_dict()["calibration"] == whole.result().to_dict()["calibration"] != {}
    old = ScaleScores.from_dict({k: v for k, v in parts[0].to_dict().items() if k != "calibration"})
    assert ScaleScores.joined([old, parts[1]]).calibration == ScaleScores.joined([parts[1], old]).calibration == {}


def nuclei(*found: tuple[float, bool], image: int = 0) -> tuple:
    """An image of squares of a probability, which lie on a true square or beside one."""
    probabilities, truth = torch.zeros(1, 30, 40 * len(found)), np.zeros((1, 30, 40 * len(found)), np.int32)
    for number, (probability, matched) in enumerate(found):
        left = 40 * number + 3
        probabilities[0, 5:21, left : left + 16] = probability
        truth[0, 5:21, left + 18 * (not matched) : left + 18 * (not matched) + 16] = number + 1
    pred = torch.cat([1 - probabilities, probabilities])
    return pred, torch.from_numpy(truth > 0).long(), torch.from_numpy(truth), 1.0, image, None


def test_objects_are_counted_by_their_mean_probability_and_true_ones_match():
    """The real finder; the squares have probabilities in the middle of the range of 8 bits."""
    whole = MultiScaleObjects(NucleusFinder(mpp=0.5))
    images = [
        nuclei((0.75, True), (0.75, False), (1.0, True)),
        nuclei((0.75, True), (0.75, True), (0.9, True), image=1),
    ]
    for item in images:
        whole.update([item])
    found = whole.result().calibration
    assert found is not None and found.counts.shape == (1, BINS)
    assert found[0].counts[[11, 13, 14]].tolist() == [4, 1, 1] and found.counts.sum() == 6
    assert found[0].true[[11, 13, 14]].tolist() == [3, 1, 1]
    assert found[0].probability[[11, 14]].tolist() == pytest.approx([0.75, 1.0], abs=1e-6)
    assert found.error[0] == pytest.approx(0.1 / 6, abs=1e-6)  # only 0.9, of which all are true

    parts = []
    for item in images:
        part = MultiScaleObjects(NucleusFinder(mpp=0.5))
        part.update([item])
        parts.append(ObjectScores.from_dict(json.loads(json.dumps(part.result().to_dict()))))
    joined = ObjectScores.joined(parts)
    assert joined.calibration is not None and joined.calibration.to_dict() == found.to_dict()


def test_objects_without_a_true_one_are_overconfident():
    metric = MultiScaleObjects(NucleusFinder(mpp=0.5))
    metric.update([nuclei((0.75, True), (0.75, False), (0.75, False), (0.75, False))])
    found = metric.result().calibration
    assert found is not None
    assert found.error[0] == pytest.approx(0.5, abs=1e-6) and found.overconfidence[0] == pytest.approx(0.5, abs=1e-6)


def test_pixels_that_are_ignored_are_of_no_counted_object():
    pred, label, objects, *rest = nuclei((0.75, True), (0.75, False))
    label[..., 40:] = 255
    for ignored, number in ((None, 2), (255, 1)):
        metric = MultiScaleObjects(NucleusFinder(mpp=0.5), ignore_index=ignored)
        metric.update([(pred, label, objects, *rest)])
        found = metric.result().calibration
        assert found is not None and found.counts.sum() == number
    assert MultiScaleObjects(NucleusFinder(mpp=0.5)).result().calibration.counts.sum() == 0  # type: ignore[union-attr]
