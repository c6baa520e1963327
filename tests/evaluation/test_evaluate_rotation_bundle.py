"""The overlay evaluate_rotation.json as users run it, on a data set of four small images."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from repository import CONFIGS
from scipy.ndimage import label as number_areas

from monai_seunet.evaluation.rotation import posed
from monai_seunet.fusion import STRATEGIES
from monai_seunet.metrics.f1_difference import POSES
from monai_seunet.report.rotations.report import RotationReport

FILES = ["report.json", "rotations.png", "signed_differences.png", "table.csv", "table.md", "turns.csv"]


@pytest.fixture
def nuclei(blobs) -> Path:
    """The same images with labels of instances, the last one from a mask."""
    content = json.loads((blobs / "dataset.json").read_text())
    for item in content["training"] + content["validation"]:
        item["label_source"] = "outlines"
        instances, _ = number_areas(np.array(Image.open(blobs / item["label"])))
        instances[:, :20] = np.where(instances[:, :20], 99, 0)  # one instance of several areas
        Image.fromarray(instances.astype(np.uint8)).save(blobs / item["label"])
    content["validation"][-1]["label_source"] = "mask"
    (blobs / "dataset.json").write_text(json.dumps({**content, "label_kind": "instances"}))
    return blobs


@pytest.fixture
def evaluate(run_overlay, blobs):
    """Run the overlay with some ids changed; returns the report folder."""

    def run(network: str = "plain_unet", symmetric: bool = False, **changes) -> Path:
        def change(untrained: torch.nn.Module) -> None:
            if symmetric:
                weights = untrained.state_dict()
                untrained.load_state_dict({name: symmetrised(values) for name, values in weights.items()})
            if network == "plain_unet":
                balance(untrained, blobs / "images" / "c.png")

        return run_overlay("evaluate_rotation", network, change, min_area=2, **changes)

    return run


def symmetrised(weights: torch.Tensor) -> torch.Tensor:
    """The mean of filters over the eight symmetries of the square."""
    return torch.stack([posed(weights, pose) for pose in POSES]).mean(0) if weights.dim() == 4 else weights


def balance(network: torch.nn.Module, image: Path) -> None:
    """Let an untrained network call half of the pixels a nucleus."""
    pixels = torch.from_numpy(np.array(Image.open(image))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        background, nucleus = network.eval()(pixels)[0]
        network.head.bias[1] -= (nucleus - background).median()


def test_report_has_every_image_pose_and_predictor(evaluate, blobs, client, runs):
    folder = evaluate("seunet", mirror=True)
    report = RotationReport.load(folder / "report.json")
    assert (report.method, report.data, report.section) == ("SEUNet", "blobs", "validation")
    assert report.region == "sides cropped to multiples of 16" and report.object_truth == "components"
    assert report.images == ("images/c.png", "images/d.png")
    predictors = 5 + len(STRATEGIES)
    assert report.scores.poses == POSES and report.scores.counts.shape == (2, 8, predictors, 1, 9)
    for image, name in enumerate("cd"):
        nucleus = np.array(Image.open(blobs / "labels" / f"{name}.png")).sum()
        hits, _, missed = np.moveaxis(report.scores.counts[image, ..., 0, :3], -1, 0)
        np.testing.assert_array_equal(hits + missed, np.full((8, predictors), nucleus))
    assert sorted(file.name for file in folder.iterdir()) == FILES
    with (folder / "turns.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 8 * predictors
    final = [row for row in rows if row["predictor"] == "p_ens" and row["pose"] in ("90", "180", "270")]
    differences = [float(row["abs_f1_difference.pixel"]) for row in final]
    summary = report.scores.summary("p_ens")
    assert np.mean(differences) == pytest.approx(summary["f1_difference.pixel"], rel=1e-6)
    (run,) = runs()
    assert run.data.metrics["validation/f1_difference.pixel"] == pytest.approx(summary["f1_difference.pixel"])
    assert run.data.metrics["validation/pixel_f1"] == pytest.approx(report.scores.mean("pixel_f1", "p_ens"))
    assert len(client.get_metric_history(run.info.run_id, "validation/over_poses.pixel_f1")) == 8
    kept = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "rotation/validation")}
    assert kept == set(FILES)


def test_turned_images_of_another_data_set_are_another_part_of_the_run(evaluate, others, client, tmp_path):
    number = client.create_experiment(tmp_path.name, artifact_location=str(tmp_path / "files"))
    training = client.create_run(number, tags={"data": "blobs"})
    (tmp_path / "models").mkdir()
    torch.save({"trainer": {"run_id": training.info.run_id}}, tmp_path / "models" / "last.pt")
    scores = []
    for changes in ({}, {"dataset_dir": str(others)}):
        scores.append(RotationReport.load(evaluate(**changes) / "report.json").scores.mean("pixel_f1", "head 1"))
    (run,) = client.search_runs([number])
    names = [f"{part}/pixel_f1" for part in ("validation", "others__2_-validation")]
    assert [run.data.metrics[name] for name in names] == pytest.approx(scores) and scores[0] != scores[1]
    kept = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "rotation")}
    assert kept == {"validation", "others__2_-validation"} and run.data.tags["data"] == "blobs"


def test_a_network_that_commutes_with_turns_has_exactly_no_difference_and_another_has(evaluate):
    summaries = {}
    for symmetric in (True, False):
        folder = evaluate(symmetric=symmetric, precision="float64", mirror=True)
        report = RotationReport.load(folder / "report.json")
        assert report.precision == "float64"
        summaries[symmetric] = report.scores.summary("head 1")
    for level in ("pixel", "object"):
        assert summaries[True][f"f1_difference.{level}"] == summaries[True][f"mirror_f1_difference.{level}"] == 0
        assert summaries[True][f"f1_difference_zeros.{level}"] == 1
    assert summaries[False]["f1_difference.pixel"] > 1e-3
    assert 0 < summaries[True]["pixel_f1"] < 1


def test_instances_are_the_true_objects_where_they_are_known(evaluate, nuclei):
    folder = evaluate()
    report = RotationReport.load(folder / "report.json")
    assert report.scores.object_truth == ("instances", "components")
    assert report.object_truth == "components (1), instances (1)"
    components = RotationReport.load(evaluate(object_truth="components") / "report.json")
    label = np.array(Image.open(nuclei / "labels" / "c.png"))
    areas = np.bincount(number_areas(label > 0)[0].ravel())[1:]
    expected = [len(np.unique(label)) - 1, (areas >= 2).sum()]
    assert [r.scores.counts[0, 0, 0, 0, [3, 5]].sum() for r in (report, components)] == expected
    assert expected[0] != expected[1]
    np.testing.assert_array_equal(report.scores.counts[..., :3], components.scores.counts[..., :3])


@pytest.mark.parametrize(
    "fields", [{"crop_to_multiple": False, "multiple": 16}, {"field": 32, "crop_to_multiple": False}]
)
def test_sizes_may_be_left_as_they_are(evaluate, fields):
    report = RotationReport.load(evaluate(max_images=1, **fields) / "report.json")
    assert report.region == ("middle 32 pixels" if "field" in fields else "")
    assert report.scores.images == 1


def test_the_overlay_leaves_training_as_it_is():
    """Its entry for the labels extends the conversion of the training."""
    configs = [json.loads((CONFIGS / f"{name}.json").read_text()) for name in ("train", "evaluate_rotation")]
    last = [config["prepare_labels"]["transforms"][-1]["_target_"] for config in configs]
    assert last[0] == last[1] == "monai_seunet.transforms.InstancesToClassesd"
