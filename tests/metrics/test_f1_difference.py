import json

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from ignite.exceptions import NotComputableError
from instances import flood_fill, pixel_scores, random_objects, scores_by_loops
from monai.data import MetaTensor

from monai_seunet.fusion import STRATEGIES
from monai_seunet.metrics import F1Difference, MultiScaleScore, RotationScores, SegmentationScore, connected_objects
from monai_seunet.metrics.f1_difference import POSES, PosedItem

TURNS = POSES[:4]


def posed(truth: np.ndarray, guesses: dict[str, np.ndarray], image: int = 0, heads: int = 1, instances=False):
    """Items of one image whose prediction in each pose is given in the frame of the turned image."""
    items = []
    for turns, (pose, guess) in enumerate(guesses.items()):
        label = torch.from_numpy(np.rot90(truth, turns).copy())[None]
        objects = torch.from_numpy(connected_objects(np.rot90(truth, turns)))[None] if instances else None
        sure = torch.from_numpy(guess.copy()).double()
        items.append(PosedItem(torch.stack([1 - sure, sure]).expand(heads, -1, -1, -1), label, objects, image, pose))
    return items


def turned(mask: np.ndarray) -> dict[str, np.ndarray]:
    return {pose: np.rot90(mask, turns) for turns, pose in enumerate(TURNS)}


def f1_by_sets(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float]:
    objects = scores_by_loops(flood_fill(truth), flood_fill(guess), 0.5)
    return pixel_scores(truth, guess)["pixel_f1"], objects["object_f1"]


def test_a_prediction_that_turns_with_the_image_has_no_difference():
    metric = F1Difference()
    for image in range(2):
        metric.update(posed(random_objects(image), turned(np.roll(random_objects(image), 1, 0)), image))
    scores = metric.result()
    for level in ("pixel", "object"):
        assert not scores.differences(level, "head 1").any()
        assert 0 < scores.mean(f"{level}_f1", "head 1") < 1
    assert metric.compute() == 0 and scores.summary("head 1")["f1_difference_zeros.object"] == 1


def test_differences_are_signed_and_scored_against_the_turned_label():
    truth = random_objects(0)
    moved = enumerate(zip(TURNS, (1, 0, 3, 1), strict=True))
    guesses = {pose: np.rot90(np.roll(truth, shift, 0), turns) for turns, (pose, shift) in moved}
    metric = F1Difference(level="pixel")
    metric.update(posed(truth, guesses))
    scores = metric.result()
    expected = np.array([f1_by_sets(np.rot90(truth, k), guess) for k, guess in enumerate(guesses.values())])
    for place, level in enumerate(("pixel", "object")):
        ours = scores.differences(level, "head 1")
        np.testing.assert_allclose(ours[0], expected[0, place] - expected[1:, place], rtol=1e-12)
        assert ours[0, 0] < 0 < ours[0, 1] and ours[0, 2] == 0
        assert scores.summary("head 1")[f"f1_difference_zeros.{level}"] == pytest.approx(1 / 3)
    assert metric.compute() == pytest.approx(np.abs(expected[0, 0] - expected[1:, 0]).mean())


def test_every_head_and_fusion_and_the_mirrored_poses_are_kept_and_survive_json():
    truth = random_objects(1)
    items = posed(truth, turned(truth), heads=3, instances=True)
    for turns, pose in enumerate(POSES[4:]):
        (item,) = posed(truth[:, ::-1], {"0": np.rot90(truth, turns)}, heads=3)
        items.append(item._replace(pose=pose, label=torch.from_numpy(np.rot90(truth[:, ::-1], turns).copy())[None]))
    metric = F1Difference()
    metric.update(items)
    scores = metric.result()
    assert scores.predictors == ("head 1", "head 2", "head 3", *STRATEGIES)
    assert scores.poses == POSES and scores.counts.shape == (1, 8, 9, 1, 9)
    again = RotationScores.from_dict(json.loads(json.dumps(scores.to_dict())))
    np.testing.assert_array_equal(again.counts, scores.counts)
    summary = again.summary("p_ens")
    assert summary["f1_difference.pixel"] == 0 and summary["mirror_f1_difference.pixel"] > 0.1
    assert again.final("p_max") == "p_max"


def test_nothing_found_where_nothing_is_counts_as_agreement_and_false_objects_do_not():
    nothing = np.zeros((40, 40), dtype=bool)
    metric = F1Difference()
    metric.update(posed(nothing, {**turned(nothing), "180": random_objects(0)}))
    scores = metric.result()
    assert np.isnan(scores.mean("object_f1", "head 1"))
    assert scores.differences("object", "head 1").tolist() == [[0, 1, 0]]
    assert scores.to_dict()["summary"]["head 1"]["object_f1"] is None


def test_an_evaluator_gives_image_and_pose_through_the_label():
    truth = random_objects(2)
    outputs = []
    for item in posed(truth, turned(truth), image=5, instances=True):
        label = MetaTensor(item.label, meta={"test_image": item.image, "test_pose": POSES.index(item.pose)})
        outputs.append([{"pred": item.prediction, "label": label, "objects": item.objects}])
    engine = Engine(lambda _, batch: batch)
    engine.state.metric_details = {}
    metric = F1Difference()
    metric.attach(engine, "f1_difference")
    engine.run(outputs)
    assert engine.state.metrics["f1_difference"] == 0
    assert engine.state.metric_details["f1_difference"].object_truth == ("instances",)


def test_a_missing_pose_has_no_score():
    metric = F1Difference()
    metric.update(posed(random_objects(0), turned(random_objects(0)))[:3])
    with pytest.raises(NotComputableError, match="270"):
        metric.compute()


@pytest.mark.parametrize("metric", [F1Difference, SegmentationScore, MultiScaleScore])
def test_no_image_has_no_score(metric):
    with pytest.raises(NotComputableError):
        metric().compute()


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        (F1Difference, {"level": "cell"}, "level is 'cell'; choose pixel, object"),
        (F1Difference, {"iou_threshold": 1.0}, "iou_threshold is 1.0"),
        (SegmentationScore, {"score": "accuracy"}, "score is 'accuracy'; choose pixel_precision"),
        (SegmentationScore, {"strategy": "median"}, "fusion strategy is 'median'"),
        (SegmentationScore, {"iou_threshold": 0.3}, "iou_threshold is 0.3"),
        (MultiScaleScore, {"strategy": "median"}, "fusion strategy is 'median'"),
    ],
)
def test_wrong_options_are_refused(metric, options, message):
    with pytest.raises(ValueError, match=message):
        metric(**options)
