import json

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from monai_seunet.fusion import STRATEGIES, fuse
from monai_seunet.metrics import MultiScaleScore, ScaleScores
from monai_seunet.metrics.scale_scores import predictor_names


def random_item(seed: int, scale: float, heads: int = 3, classes: int = 2, size: int = 24):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(heads, classes, size, size, generator=generator).mul(3).softmax(1)
    label = torch.randint(0, classes, (1, size, size), generator=generator)
    return probabilities, label, scale


def foreground_iou(prediction: torch.Tensor, label: torch.Tensor) -> float:
    guess, truth = (np.concatenate([x.numpy().ravel() for x in many]) == 1 for many in (prediction, label))
    return float((guess & truth).sum() / (guess | truth).sum())


def test_each_scale_head_and_strategy_has_the_score_of_its_own_pixels(monkeypatch):
    monkeypatch.setattr("monai_seunet.metrics.multi_scale._STRIP_PIXELS", 100)  # several strips an image
    items = [random_item(seed, scale) for seed, scale in enumerate([0.5, 1.0, 0.5, 1.0])]
    metric = MultiScaleScore(scales=(0.5, 1.0))
    metric.update(items[:1])
    metric.update(items[1:])
    result = metric.result()
    assert result.images == 2
    assert result.predictors == ("head 1", "head 2", "head 3", *STRATEGIES)
    for index, scale in enumerate((0.5, 1.0)):
        ours = [item for item in items if item[2] == scale]
        labels = [label[0] for _, label, _ in ours]
        for place, name in enumerate(result.predictors):
            head = name.startswith("head")
            guesses = [(p[place] if head else fuse(p[None], name)[0]).argmax(0) for p, _, _ in ours]
            assert result.scores[index, place] == pytest.approx(foreground_iou(guesses, labels), rel=1e-12)
            each = [foreground_iou([g], [t]) for g, t in zip(guesses, labels, strict=True)]
            assert result.image_scores[index, place] == pytest.approx(np.mean(each), rel=1e-12)
    assert metric.compute() == pytest.approx(result.curve("p_ens").mean())
    assert MultiScaleScore(strategy="p_dist").strategy == "p_dist"


def test_scores_survive_json_and_name_the_best_head():
    metric = MultiScaleScore(scales=(1.0, 2.0))
    truth = torch.zeros(1, 8, 8, dtype=torch.int64)
    truth[:, :4] = 1
    right, wrong = (torch.nn.functional.one_hot(t[0], 2).permute(2, 0, 1).float() for t in (truth, 1 - truth))
    metric.update([(torch.stack([right, wrong]), truth, 1.0), (torch.stack([wrong, right]), truth, 2.0)])
    result = metric.result()
    again = ScaleScores.from_dict(json.loads(json.dumps(result.to_dict())))
    assert result.best_heads() == again.best_heads() == [1, 2]
    np.testing.assert_array_equal(result.scores, again.scores)
    assert result.scores[:, :2].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_single_head_is_the_final_prediction():
    probabilities, label, _ = random_item(0, 1.0, heads=1)
    metric = MultiScaleScore()
    metric.update([(probabilities[0], label, 1.0)])
    assert metric.result().predictors == ("head 1",)
    assert metric.compute() == pytest.approx(foreground_iou([probabilities[0].argmax(0)], [label[0]]))


def test_an_evaluator_gives_the_scale_through_the_label(recwarn):
    metric = MultiScaleScore(scales=(0.5, 1.0))
    probabilities, label, _ = random_item(3, 0.5)
    halved = {"pred": probabilities, "label": MetaTensor(label, meta={"test_scale": 0.5})}
    engine = Engine(lambda _, batch: batch)
    engine.state.metric_details = {}
    metric.attach(engine, "score")
    engine.run([[halved], [{"pred": probabilities, "label": label}]])
    result = engine.state.metric_details["score"]
    assert result.confusion[0].sum() == result.confusion[1].sum() > 0
    assert engine.state.metrics["score"] == pytest.approx(result.mean("p_ens"))
    assert not recwarn.list


@pytest.mark.parametrize(
    ("change", "message"),
    [({"scale": 3.0}, "test scale 3.0, which is not among"), ({"classes": 3}, "3 classes, but earlier ones had 2")],
)
def test_items_that_do_not_fit_are_refused(change, message):
    metric = MultiScaleScore()
    metric.update([random_item(0, 1.0)])
    with pytest.raises(ValueError, match=message):
        metric.update([random_item(0, **{"scale": 1.0, **change})])


def test_an_image_without_objects_is_an_image():
    """Its score is 0/0 where nothing is found: it has no part in the mean of the images, and still was evaluated."""
    empty = (torch.tensor([0.9, 0.1]).view(1, 2, 1, 1).expand(3, 2, 24, 24), torch.zeros(1, 24, 24, dtype=torch.int64))
    metric, alone = MultiScaleScore(), MultiScaleScore()
    metric.update([(*empty, 1.0), random_item(0, 1.0)])
    alone.update([random_item(0, 1.0)])
    assert metric.result().images == 2
    np.testing.assert_array_equal(metric.result().image_scores, alone.result().image_scores)


def test_an_image_that_is_too_small_for_the_last_heads_counts_for_the_others():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(2, (1, 16, 16), generator=generator)
    large, small = (torch.rand(heads, 2, 16, 16, generator=generator).softmax(1) for heads in (3, 2))
    metric = MultiScaleScore()
    for order in ((large, small), (small, large)):
        metric.reset()
        for prediction in order:
            metric.update([(prediction, label, 1.0)])
        scores = metric.result()
        assert scores.predictors == predictor_names(3)
        pixels = scores.confusion.sum((0, 2, 3))
        assert pixels.tolist() == [512, 512, 256, *[512] * len(STRATEGIES)]
    metric.update([(small[:1], label, 1.0)])
    assert metric.result().confusion.sum((0, 2, 3)).tolist() == [768, 512, 256, *[768] * len(STRATEGIES)]
