"""The overlay evaluate.json as users run it, on a data set of four small images."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from monai_seunet.cli import main
from monai_seunet.data.sets.synthetic import prepare_synthetic
from monai_seunet.fusion import STRATEGIES
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.slides.nuclei import direct, find

FIGURES = ["calibration.png", "equivariance.png", "filters.png", "panels.png", "scales.png", "sigmas.png"]
OBJECTS = ["objects.csv", "objects.md", "objects.png"]
TABLES = ["calibration.csv", "calibration.md", "scores.csv", "table.csv", "table.md"]
FILES = sorted([*FIGURES, *TABLES, "panels.npz", "report.json"])


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
    calibration = report.calibrations()["pixels"]
    assert calibration.counts.sum(1).tolist() == pixels[:, 0].tolist() and list(report.calibrations()) == ["pixels"]
    assert len(report.sigmas) == len(report.sigma_bounds) == 18
    assert sorted(file.name for file in folder.iterdir()) == FILES
    (run,) = runs()
    assert run.data.tags["network"] == "SEUNet" and run.info.status == "FINISHED"
    assert run.data.metrics["validation/mean_score_over_scales"] == pytest.approx(report.scores.mean("p_ens"))
    assert run.data.metrics["validation/e_err"] == pytest.approx(report.equivariance.mean)
    error = run.data.metrics["validation/calibration_error.pixels_at_scale_1"]
    assert error == pytest.approx(calibration.error[1]) and 0 < error < 1
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
    assert objects.calibration is not None
    predicted = objects.column("predicted").sum(1)
    assert objects.calibration.counts.sum(1).tolist() == predicted.tolist()
    assert objects.calibration.true.sum(1).tolist() == objects.column("matched_50").sum(1).tolist()
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
