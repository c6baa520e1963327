"""The overlay evaluate.json as users run it, on a data set of four small images."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from monai_seunet.cli import main
from monai_seunet.data.sets.synthetic import prepare_synthetic
from monai_seunet.fusion import STRATEGIES
from monai_seunet.networks import SEUNet
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.slides.nuclei import direct, find
from monai_seunet.utils.errors import InputError, find_input_error

FIGURES = ["equivariance.png", "filters.png", "panels.png", "scales.png", "sigmas.png"]
OBJECTS = ["objects.csv", "objects.md", "objects.png"]
FILES = sorted([*FIGURES, "panels.npz", "report.json", "scores.csv", "table.csv", "table.md"])


def test_evaluation_reports_every_head_and_strategy_at_every_scale(evaluate, client, runs):
    folder = evaluate()
    report = ScaleReport.load(folder / "report.json")
    assert report.method == "SEUNet" and (report.data, report.section) == ("blobs", "validation")
    assert report.region == ""
    assert report.scores.scales == (0.5, 1.0, 2.0) and report.scores.images == 2
    assert report.scores.predictors[-1] == "p_conf" and len(report.scores.heads) == 5
    pixels = report.scores.confusion.sum((2, 3))
    np.testing.assert_array_equal(pixels, np.outer(2 * 64 * 48 * np.array([0.25, 1, 4]), np.ones(5 + len(STRATEGIES))))
    assert report.equivariance is not None and report.equivariance.matrices.shape == (3, 5, 5)
    assert len(report.sigmas) == len(report.sigma_bounds) == 18
    assert sorted(file.name for file in folder.iterdir()) == FILES
    (run,) = runs()
    assert run.data.tags["network"] == "SEUNet" and run.info.status == "FINISHED"
    assert run.data.metrics["validation/mean_score_over_scales"] == pytest.approx(report.scores.mean("p_ens"))
    assert run.data.metrics["validation/e_err"] == pytest.approx(report.equivariance.mean)
    curve = client.get_metric_history(run.info.run_id, "validation/over_scales.head_2")
    assert [point.step for point in curve] == [0, 1, 2]
    np.testing.assert_allclose([point.value for point in curve], report.scores.curve("head 2"))
    curve = client.get_metric_history(run.info.run_id, "validation/score_over_scales")
    np.testing.assert_allclose([point.value for point in curve], report.scores.curve("p_ens"))
    kept = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "evaluation/validation")}
    assert kept == {file.name for file in folder.iterdir()}


@pytest.fixture
def instances(blobs) -> list[int]:
    """The data set with labels that number the blobs; how many each validation image has."""
    content, counts = json.loads((blobs / "dataset.json").read_text()), []
    for item in content["training"] + content["validation"]:
        numbers, count = ndimage.label(np.asarray(Image.open(blobs / item["label"])))
        Image.fromarray(numbers.astype(np.uint8)).save(blobs / item["label"])
        counts.append(count)
    (blobs / "dataset.json").write_text(json.dumps(content | {"label_kind": "instances"}))
    return counts[-2:]


def test_single_objects_are_scored_at_every_scale(evaluate, instances, runs):
    folder = evaluate(equivariance=False)
    objects = ScaleReport.load(folder / "report.json").objects
    assert objects is not None and objects.scales == (0.5, 1.0, 2.0)
    assert objects.column("true")[1].tolist() == instances
    assert sorted(file.name for file in folder.iterdir()) == sorted({*FILES, *OBJECTS} - {"equivariance.png"})
    (run,) = runs()
    assert run.data.metrics["validation/aji_at_scale_1"] == pytest.approx(objects.curve("aji")[1])


@pytest.mark.parametrize("network", ["seunet", "plain_unet"])
def test_objects_are_told_apart_by_directions_where_the_network_gives_them(evaluate, instances, network, monkeypatch):
    seen = []
    monkeypatch.setattr(find, "direct_nuclei", lambda *given: seen.append(given) or direct.direct_nuclei(*given))
    report = ScaleReport.load(evaluate(network, equivariance=False, directions=True) / "report.json")
    assert report.objects is not None and report.objects.column("true")[1].tolist() == instances
    assert len(seen) == 6 and all(directions.shape[0] == 2 for _, directions in seen)
    assert report.scores.confusion.shape[-1] == 2, "directions are no classes"


def test_objects_are_left_out_where_they_are_not_known_or_not_wanted(evaluate, blobs, instances):
    folder = evaluate(equivariance=False, objects=False)
    assert ScaleReport.load(folder / "report.json").objects is None
    content = json.loads((blobs / "dataset.json").read_text())
    for item in content["validation"]:
        item["label_source"] = "mask"
    (blobs / "dataset.json").write_text(json.dumps(content))
    assert ScaleReport.load(evaluate(equivariance=False) / "report.json").objects is None
    assert not any((folder / name).exists() for name in OBJECTS)


@pytest.mark.parametrize("overlay", ["evaluate", "evaluate_rotation"])
def test_a_binary_mask_has_no_single_objects_to_score(evaluate, blobs, overlay):
    content = json.loads((blobs / "dataset.json").read_text())
    for item in content["validation"]:
        label = np.zeros((64, 48), np.uint8)
        label[:10, :10] = label[50:, 30:] = 1
        Image.fromarray(label).save(blobs / item["label"])
    (blobs / "dataset.json").write_text(json.dumps(content | {"label_kind": "instances"}))
    with pytest.raises(Exception, match=r".") as caught:
        evaluate(overlay=overlay)
    assert re.search(r"c.png: 1 number\(s\) for 2 separate areas", str(find_input_error(caught.value)))


def test_plain_network_has_one_head_and_no_sigma(evaluate):
    folder = evaluate("plain_unet", equivariance=False, max_images=1, field=32)
    report = ScaleReport.load(folder / "report.json")
    assert report.scores.predictors == ("head 1",) and report.scores.images == 1
    assert report.region == "middle 32 pixels"
    assert report.equivariance is None and not report.sigmas
    assert not (folder / "sigmas.png").exists() and not (folder / "equivariance.png").exists()


def test_a_data_set_wholly_for_validation_is_evaluated(evaluate, blobs):
    content = json.loads((blobs / "dataset.json").read_text())
    content |= {"training": [], "validation": content["training"] + content["validation"]}
    (blobs / "dataset.json").write_text(json.dumps(content))
    report = ScaleReport.load(evaluate(equivariance=False) / "report.json")
    assert report.section == "validation" and report.scores.images == 4


@pytest.mark.parametrize("overlay", ["evaluate", "evaluate_rotation"])
def test_a_folder_of_test_images_alone_is_evaluated(evaluate, tmp_path, capsys, overlay, runs):
    prepare_synthetic(tmp_path / "src", lambda groups: (dict.fromkeys(groups, "training"), {}), images=3, pixels=64)
    command = ["prepare", "folder", str(tmp_path / "src"), str(tmp_path / "mine"), "--test", "1", "--masks", "labels"]
    assert main([*command, "--label-kind", "instances"]) == 0
    assert f"{tmp_path / 'mine'}: 3 test" in capsys.readouterr().out
    content = json.loads((tmp_path / "mine" / "dataset.json").read_text())
    assert content["split"]["validation"] == 0 and content["split"]["test"] == 1
    for section in ("training", "validation"):
        assert content.pop(section) == []
    (tmp_path / "mine" / "dataset.json").write_text(json.dumps(content))
    changes = {} if overlay == "evaluate_rotation" else {"equivariance": False}
    folder = evaluate(overlay=overlay, dataset_dir=str(tmp_path / "mine"), section="test", **changes)
    report = json.loads((folder / "report.json").read_text())
    assert (report["data"], report["section"]) == ("src", "test") and "test" in folder.parts
    (run,) = runs()
    assert run.info.status == "FINISHED" and any(name.startswith("test/") for name in run.data.metrics)


def test_what_cannot_be_evaluated_is_refused_before_a_network_is_made(evaluate, monkeypatch, blobs):
    monkeypatch.setattr(SEUNet, "__init__", lambda *_, **__: pytest.fail("a network is made"))
    monkeypatch.setattr("monai_seunet.networks.checkpoints.load_checkpoint", lambda *_: pytest.fail("weights are read"))
    (blobs.parent / "models").mkdir()
    (blobs.parent / "models" / "model.pt").touch()
    for changes in ({"section": "test"}, {"num_classes": 3}, {"dataset_dir": "nowhere"}):
        with pytest.raises(Exception, match=r".") as caught:
            evaluate(**changes)
        assert find_input_error(caught.value) is not None
    content = json.loads((blobs / "dataset.json").read_text())
    del content["validation"][0]["label"]
    (blobs / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(Exception, match=r".") as caught:
        evaluate()
    assert "validation[0]: the key 'label' is missing" in str(find_input_error(caught.value))


def test_crops_that_do_not_fit_are_refused_before_the_evaluation(evaluate):
    with pytest.raises(Exception, match=r".") as caught:
        evaluate(equivariance_crop=16, minimum_scale=0.25, maximum_scale=0.5)
    assert "switch this measurement off with --equivariance false" in str(find_input_error(caught.value))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimum_scale": 4.0}, "scale range is from 4.0 to 2.0; give minimum_scale"),
        ({"section": "test"}, "the section 'test' is empty"),
        ({"section": "tset"}, "no section 'tset'; the sections are training, validation, test"),
        ({"num_classes": 3}, "has 2 classes (background, nucleus), but num_classes is 3"),
        ({"max_images": 0}, "no image to evaluate"),
        ({"checkpoint": "nowhere.pt"}, "nowhere.pt: no such checkpoint"),
    ],
)
def test_what_a_user_gets_wrong_is_said_in_one_line_and_writes_nothing(evaluate, tmp_path, changes, message):
    with pytest.raises(Exception, match=r".") as caught:
        evaluate(**changes)
    cause = find_input_error(caught.value)
    assert isinstance(cause, InputError) and message in str(cause) and "\n" not in str(cause)
    assert not list(tmp_path.glob("eval/**/*.json"))


def test_an_evaluation_that_fails_half_way_leaves_no_report(evaluate, monkeypatch):
    folder = evaluate(equivariance=False)
    assert (folder / "report.json").exists()
    monkeypatch.setattr("monai_seunet.evaluation.reporting.network_figures", lambda *_: 1 / 0)
    with pytest.raises(RuntimeError, match="Failed to evaluate"):
        evaluate(equivariance=False)
    assert not (folder / "report.json").exists()
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
