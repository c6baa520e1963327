import numpy as np
import pytest
import torch
from ignite.engine import Engine
from instances import flood_fill, instance_sets, pixel_scores, random_objects, scores_by_loops
from monai.bundle import ConfigParser

from monai_seunet.data.outlines import draw_instances
from monai_seunet.fusion import fuse
from monai_seunet.metrics import SegmentationScore, connected_objects, segmentation_counts, segmentation_scores
from monai_seunet.metrics.segmentation_counts import SCORES
from monai_seunet.reading.annotations import read_annotations


def heads_of(mask: np.ndarray, heads: int = 1) -> torch.Tensor:
    """Sure probabilities (S, 2, H, W) of a mask."""
    guess = torch.from_numpy(mask).double()
    return torch.stack([1 - guess, guess]).mul(0.8).add(0.1).expand(heads, -1, -1, -1)


def item(seed: int, keep_instances: bool = True):
    truth, guess = random_objects(seed), np.roll(random_objects(seed), 1, 0)
    instances = connected_objects(truth)
    instances[instances == 2] = 1  # an instance of two pieces, which components would tell apart
    return truth, guess, instances if keep_instances else None


def evaluated(items, **options):
    metric = SegmentationScore(**options)
    metric.update(
        (heads_of(g), torch.from_numpy(t)[None].long(), None if i is None else torch.from_numpy(i)[None])
        for t, g, i in items
    )
    return metric


@pytest.mark.parametrize("keep_instances", [True, False])
def test_every_score_equals_set_arithmetic_and_is_averaged_over_the_images(keep_instances):
    items = [item(seed, keep_instances) for seed in range(3)]
    expected = []
    for truth, guess, instances in items:
        objects = flood_fill(truth) if instances is None else instance_sets(instances)
        expected.append(pixel_scores(truth, guess) | scores_by_loops(objects, flood_fill(guess), 0.5))
    result = evaluated(items).result()
    assert result.images == 3
    for name in expected[0]:
        assert result.mean[name] == pytest.approx(np.mean([scores[name] for scores in expected]), rel=1e-12), name
    truth, guess = (np.concatenate([entry[place] for entry in items]) for place in (0, 1))
    assert result.pooled["pixel_f1"] == pytest.approx(pixel_scores(truth, guess)["pixel_f1"], rel=1e-12)


def test_it_is_built_from_json_by_its_short_name_and_gives_value_and_details():
    config = {"imports": ["$import monai_seunet"], "metric": {"_target_": "SegmentationScore", "score": "aji"}}
    parser = ConfigParser(config)
    parser.get_parsed_content("imports")
    metric = parser.get_parsed_content("metric")
    truth, guess, instances = item(0)
    label, objects = torch.from_numpy(truth)[None], torch.from_numpy(instances)[None]
    output = {"pred": heads_of(guess, 3), "label": label, "objects": objects}
    engine = Engine(lambda _, batch: batch)
    engine.state.metric_details = {}
    metric.attach(engine, "val_aji")
    engine.run([[output]])
    details = engine.state.metric_details["val_aji"]
    assert engine.state.metrics["val_aji"] == details.mean["aji"]
    expected = scores_by_loops(instance_sets(instances), flood_fill(guess), 0.5)
    assert details.mean["aji"] == pytest.approx(expected["aji"])


def test_the_fusion_strategy_decides():
    probabilities = torch.rand(3, 2, 20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    truth = torch.from_numpy(random_objects(0, 20))[None].long()
    values = {}
    for strategy in ("arithmetic", "p_max"):
        metric = SegmentationScore(score="pixel_f1", strategy=strategy)
        metric.update([(probabilities, truth, None)])
        guess = fuse(probabilities[None], strategy)[0].argmax(0).numpy() == 1
        values[strategy] = metric.compute()
        assert values[strategy] == pytest.approx(pixel_scores(truth[0].numpy() == 1, guess)["pixel_f1"])
    assert values["arithmetic"] != values["p_max"]


def test_images_without_anything_do_not_count_and_false_objects_do():
    empty = np.zeros((40, 40), dtype=bool)
    full = item(0)
    alone = evaluated([full]).result()
    with_empty = evaluated([full, (empty, empty, None)]).result()
    with_false = evaluated([full, (empty, random_objects(1), None)]).result()
    assert with_empty.mean == alone.mean and with_empty.images == 2
    assert with_false.mean["object_f1"] == pytest.approx(alone.mean["object_f1"] / 2)
    assert with_false.mean["object_recall"] == alone.mean["object_recall"]


def test_ignored_pixels_belong_to_no_object():
    truth, guess, instances = (np.array(x) for x in item(3))
    label = truth.astype(int)
    label[:, :15] = 255
    maps = torch.from_numpy(guess)[None].long(), torch.from_numpy(label), 2, torch.from_numpy(instances)
    counts = segmentation_counts(*maps, ignore_index=255)
    right = (slice(None), slice(15, None))
    expected = pixel_scores(truth[right], guess[right])
    expected |= scores_by_loops(instance_sets(instances[right]), flood_fill(guess[right]), 0.5)
    ours = {name: float(value[0]) for name, value in segmentation_scores(counts).items()}
    assert {name: ours[name] for name in expected} == pytest.approx(expected, rel=1e-12)


def test_several_classes_are_averaged_over_those_that_occur():
    generator = torch.Generator().manual_seed(0)
    label, guess = (torch.randint(0, 3, (12, 12), generator=generator) for _ in range(2))
    counts = segmentation_counts(guess[None], label, 4)[0]
    masks = [(label.numpy() == c, guess.numpy() == c) for c in range(3)]
    each = [pixel_scores(*pair)["pixel_f1"] for pair in masks]
    assert counts.shape == (4, 9) and segmentation_scores(counts)["pixel_f1"] == pytest.approx(np.mean(each))
    objects = [scores_by_loops(flood_fill(t), flood_fill(g), 0.5)["aji"] for t, g in masks]
    assert segmentation_scores(counts)["aji"] == pytest.approx(np.mean(objects))
    with pytest.raises(ValueError, match="instances are the objects of one class, but 4 classes"):
        segmentation_counts(guess[None], label, 4, label)


@pytest.mark.data
def test_real_nuclei_that_touch_are_told_apart_by_instances_only(data_dir):
    xml = data_dir / "monuseg/MoNuSeg 2018 Training Data/Annotations/TCGA-A7-A13E-01Z-00-DX1.xml"
    instances = draw_instances(read_annotations(xml).annotations, (1000, 1000)).label.astype(np.int32)
    mask, numbers = torch.from_numpy(instances > 0).long(), torch.from_numpy(instances)
    best = segmentation_scores(segmentation_counts(mask[None], mask, 2)[0])
    assert all(best[name] == 1 for name in SCORES)
    merged = segmentation_scores(segmentation_counts(mask[None], mask, 2, numbers)[0])
    assert merged["pixel_f1"] == 1 and 0.85 < merged["object_f1"] < 1 and 0.7 < merged["aji"] < 1
    moved = segmentation_scores(segmentation_counts(mask.roll(3, 0)[None], mask, 2, numbers)[0])
    assert all(moved[name] < merged[name] for name in ("pixel_iou", "object_f1", "aji", "pq", "sq"))
