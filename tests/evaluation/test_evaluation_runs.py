"""Which run of MLflow an evaluation is logged to."""

from pathlib import Path

import numpy as np
import pytest
import torch

from monai_seunet.data.datalist import load_dataset
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking import split_hash
from monai_seunet.tracking.client import code_tags
from monai_seunet.tracking.evaluation import part_of_run


def test_report_joins_the_run_of_the_training_that_is_named_beside_the_weights(evaluate, client, tmp_path, runs):
    training = client.create_run(client.create_experiment(tmp_path.name, artifact_location=str(tmp_path / "files")))
    (tmp_path / "models").mkdir()
    torch.save({"trainer": {"run_id": training.info.run_id}}, tmp_path / "models" / "last.pt")
    client.set_terminated(training.info.run_id, "KILLED", end_time=1)
    folder = evaluate()
    assert (folder / "equivariance.png").exists()
    evaluate(equivariance=False)
    (run,) = runs()
    assert run.info.run_id == training.info.run_id
    assert "validation/mean_score_over_scales" in run.data.metrics
    assert (run.info.status, run.info.end_time) == ("KILLED", 1), "it is the training that was killed"
    left = sorted(file.name for file in folder.iterdir())
    assert "equivariance.png" not in left and "scales.png" in left, "nothing stays of the former evaluation"
    kept = client.list_artifacts(run.info.run_id, "evaluation/validation")
    assert sorted(Path(item.path).name for item in kept) == left


def test_evaluations_on_several_data_sets_share_the_run_of_the_training(
    evaluate, blobs, others, client, tmp_path, runs
):
    own = {"data": "blobs", "split": split_hash(load_dataset(blobs)), "network": "SEUNet"}
    number = client.create_experiment(tmp_path.name, artifact_location=str(tmp_path / "files"))
    training = client.create_run(number, tags=own)
    (tmp_path / "models").mkdir()
    torch.save({"trainer": {"run_id": training.info.run_id}}, tmp_path / "models" / "last.pt")
    parts = {"validation": {}, "others__2_-validation": {"dataset_dir": str(others), "equivariance": False}}
    reports = {}
    for part, changes in parts.items():
        folder = evaluate(report_dir=str(tmp_path / f"evaluate@{part}"), **changes)
        reports[part] = ScaleReport.load(folder / "report.json")
    (run,) = client.search_runs([number])
    assert own.items() <= run.data.tags.items(), "the run stays that of the training"
    kept = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, "evaluation")}
    assert kept == set(parts)
    inputs = [(entry.dataset.name, entry.tags[0].value) for entry in run.inputs.dataset_inputs]
    assert sorted(inputs) == [("blobs", "validation"), ("others (2)", "validation")]
    for part, report in reports.items():
        mean = run.data.metrics[f"{part}/mean_score_over_scales"]
        assert mean == pytest.approx(report.scores.mean("p_ens"))
        assert run.data.tags[f"evaluated.{part}"] and (f"{part}/e_err" in run.data.metrics) == (part == "validation")
        curve = client.get_metric_history(run.info.run_id, f"{part}/score_over_scales")
        np.testing.assert_allclose([point.value for point in curve], report.scores.curve("p_ens"))
    first, second = reports.values()
    assert (first.data, second.data) == ("blobs", "others (2)") and first.scores.images != second.scores.images
    assert first.split == own["split"] and second.split == split_hash(load_dataset(others)) != first.split


def test_another_split_of_the_data_of_a_training_is_another_part(evaluate):
    report = ScaleReport.load(evaluate(equivariance=False) / "report.json")
    tags = {"data": "blobs", "split": report.split}
    assert part_of_run(report, tags) == "validation"
    assert part_of_run(report, {**tags, "split": "ffffffff"}) == "blobs-validation"
    assert part_of_run(report, {**tags, "data": "glas"}) == "blobs-validation"
    assert part_of_run(report, {}) == "validation", "a run that does not say it"


def test_a_run_that_the_tracking_server_does_not_have_is_replaced_by_a_new_one(evaluate, client, tmp_path, runs):
    (tmp_path / "models").mkdir()
    torch.save({"trainer": {"run_id": "0" * 32}}, tmp_path / "models" / "last.pt")
    evaluate(equivariance=False)
    (run,) = runs()
    assert run.info.run_name == "SEUNet-blobs-evaluation"
    assert code_tags().items() <= run.data.tags.items()
    assert [file.path for file in client.list_artifacts(run.info.run_id, "config")] == ["config/command.txt"]
