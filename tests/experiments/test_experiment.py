"""Experiments as they are run, resumed and reported, with MLflow's store in a file and behind a server."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from distributed import LocalCluster
from repository import BUNDLE

from monai_seunet.cli import main
from monai_seunet.commands.experiment import default_tracking_uri
from monai_seunet.experiments.tracking import children, find_parent
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.client import connect

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_other_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def command(file, output, *more):
    return ["experiment", str(file), "--bundle", str(BUNDLE), "--output", str(output), *more]


def runs_of(uri, name="two"):
    client = connect(uri)
    return client, {run.info.run_name: run for run in children(client, find_parent(client, name))}


def test_an_experiment_is_run_reported_and_not_run_twice(write_experiment, tmp_path, capsys):
    file, output = write_experiment(certificate={"images": 1, "crop": 64}), tmp_path / "out"
    assert main(command(file, output, "--processes", "2")) == 0
    uri = default_tracking_uri(output)
    client, runs = runs_of(uri)
    assert sorted(runs) == ["PlainUNet-0", "SEUNet-geometric-0", "SEUNet-geometric-1"]
    for run in runs.values():
        assert run.data.metrics["step_cpu_seconds"] > 0 and run.data.metrics["step_seconds"] > 0
        assert any(name.startswith("certificate/") for name in run.data.metrics), sorted(run.data.metrics)
        assert run.data.tags["evaluated.validation"] and run.info.status == "FINISHED"
    weights = torch.load(output / "two" / "SEUNet-geometric-0" / "models" / "model.pt", weights_only=True)
    assert "encoder.0.0.norm.norms.1.weight" in weights, "an option of the network that is a switch"
    before = {path: path.stat().st_mtime_ns for path in output.rglob("models/*")}
    assert main(command(file, output)) == 0 and "3 of 3 trainings" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in output.rglob("models/*")} == before

    assert main(["report", "two", "--output", str(output)]) == 0
    report = output / "two" / "report"
    page = (report / "report.html").read_text()
    assert "Two networks" in page and "Not all evaluations" not in page and page.count("data:image/png") > 5
    assert "://" not in page, "the page needs nothing from elsewhere"
    for name in ("methods.csv", "methods.svg", "claims.md", "heads_SEUNet-geometric.csv"):
        assert (report / "evaluation_validation" / name).stat().st_size
    assert (report / "rotation_validation" / "rotations.png").exists()
    parent = find_parent(client, "two").info.run_id
    client.log_text(parent, "of a method that is gone", "report/evaluation_validation/heads_former.csv")
    assert main(["report", "two", "--output", str(output)]) == 0
    held = {file.path for file in client.list_artifacts(parent, "report/evaluation_validation")}
    assert {Path(path).name for path in held} == {path.name for path in (report / "evaluation_validation").iterdir()}
    logged = {file.path for file in client.list_artifacts(parent, "report")}
    assert {Path(path).name for path in logged} == {path.name for path in report.iterdir()} - {"experiment.json"}
    with (report / "trainings.csv").open() as file:
        minutes = {row["run"]: float(row["minutes"]) for row in csv.DictReader(file)}
    for name, run in runs.items():
        steps = len(client.get_metric_history(run.info.run_id, "loss"))
        seconds = [point.value for point in client.get_metric_history(run.info.run_id, "step_seconds")]
        assert minutes[name] == pytest.approx(steps * np.mean(seconds) / 60, abs=0.06)
    rows = (report / "evaluation_validation" / "methods.csv").read_text().splitlines()
    scores = [run.data.metrics["validation/mean_over_scales.p_max"] for n, run in runs.items() if "SEUNet" in n]
    table = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert float(table["P_Max"]) == pytest.approx(100 * np.mean(scores), abs=0.006)


def test_every_training_is_evaluated_on_several_data_sets(write_experiment, on_both, tmp_path, capsys):
    longer = {"epochs": 8, "val_interval": 8, "average_momentum": 1}  # until there are nuclei
    plain = {"overlays": ["networks/plain_unet"], "options": longer}
    trainings = {"PlainUNet": plain, "wider": {**plain, "options": {**longer, "width": 8}}}
    claims = [{"better": "wider", "than": "PlainUNet", "points": -100}, {"method": "PlainUNet", "range": 0}]
    absent = {**on_both, "evaluate@elsewhere": {"dataset_dir": str(tmp_path / "absent")}}
    output = tmp_path / "out"
    assert main(command(write_experiment(trainings=trainings, claims=claims, evaluations=absent), output)) == 2
    assert "absent: no such data set" in capsys.readouterr().err and not output.exists(), "before hours of training"

    one = {"evaluate": on_both["evaluate"]}
    assert main(command(write_experiment(trainings=trainings, claims=claims, evaluations=one), output)) == 0
    file = write_experiment(trainings=trainings, claims=claims, evaluations=on_both)
    assert main(command(file, output, "--only", "PlainUNet")) == 0
    assert main(["report", "two", "--output", str(output)]) == 0
    report = output / "two" / "report"
    assert "1 to come: wider-0" in (report / "report.html").read_text()
    before = {path: path.stat().st_mtime_ns for path in output.rglob("models/*")}
    assert main(command(file, output)) == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("models/*")} == before, "nothing is trained again"

    client, runs = runs_of(default_tracking_uri(output))
    parts = ("validation", "else_where__2_-validation")
    for name, run in runs.items():
        means = [run.data.metrics[f"{part}/mean_score_over_scales"] for part in parts]
        assert means[0] != means[1] and run.data.tags["data"] == "synthetic"
        for place, part in zip(("evaluate", "evaluate@elsewhere"), parts, strict=True):
            made = ScaleReport.load(output / "two" / name / place / "report.json")
            assert made.scores.mean(made.final) == pytest.approx(run.data.metrics[f"{part}/mean_score_over_scales"])

    assert main(["report", "two", "--output", str(output)]) == 0
    page = (report / "report.html").read_text()
    assert "to come" not in page
    titles = [
        "Both data sets: validation",
        "Evaluation: validation, synthetic",
        "Evaluation: validation, else where (2)",
    ]
    assert all(first in page.partition(before)[2] for before, first in pairwise(["<h1>", *titles])), "in this order"
    shown = {}
    for data, part in zip(("synthetic", "else where (2)"), parts, strict=True):
        rows = table_of(report / f"evaluation_validation_{data}" / "methods.csv")
        assert rows.keys() == {"PlainUNet", "wider"}
        for name, run in runs.items():
            method = name.removesuffix("-0")
            curve = [point.value for point in client.get_metric_history(run.info.run_id, f"{part}/score_over_scales")]
            expected = [100 * np.mean(curve), 100 * curve[1], 100 * np.ptp(curve)]
            shown.setdefault(method, []).extend(f"{value:.2f}" for value in expected)
            assert rows[method]["range"] == shown[method][-1] and bool(rows[method]["E_Err"]) == (part == parts[0])
    both = table_of(report / "data_sets_validation" / "data_sets.csv")
    assert {method: list(row.values())[1:] for method, row in both.items()} == shown
    claimed = table_of(report / "data_sets_validation" / "claims.csv")
    assert list(claimed["range of PlainUNet (at most)"].values())[1:] == [*shown["PlainUNet"][2::3], "0.00"]
    ranges = table_of(report / "evaluation_validation_else where (2)" / "claims.csv")["range of PlainUNet (at most)"]
    assert ranges["measured"] == shown["PlainUNet"][-1]


def table_of(path):
    """The rows of a table by their names."""
    with path.open() as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def test_another_plan_is_refused_and_one_that_fails_stops_no_other(write_experiment, tmp_path, capsys):
    output = tmp_path / "out"
    trainings = {
        "too large": {"overlays": ["networks/plain_unet"], "options": {"crop_size": 4000}},
        "PlainUNet": {"overlays": ["networks/plain_unet"], "evaluations": {}},
    }
    assert main(command(write_experiment(trainings=trainings, claims=[]), output)) == 1
    told = capsys.readouterr()
    assert "crop_size" in told.err and "1 of 2 trainings" in told.out
    trainings["PlainUNet"]["options"] = {"max_lr": 0.5}
    before = (output / "two" / "PlainUNet-0" / "training.json").read_bytes()
    assert main(command(write_experiment(trainings=trainings, claims=[]), output, "--only", "PlainUNet")) == 1
    assert (output / "two" / "PlainUNet-0" / "training.json").read_bytes() == before, "what is done is not touched"
    assert "was trained with options" in capsys.readouterr().err
    assert main(command(write_experiment(), output, "--only", "nobody")) == 2
    assert "--only nobody" in capsys.readouterr().err


def test_data_that_are_not_there_are_missed_before_anything_is_trained(write_experiment, tmp_path, capsys):
    file = write_experiment(options={"dataset_dir": str(tmp_path / "absent")})
    assert main(command(file, tmp_path / "out")) == 2
    assert capsys.readouterr().err.strip() == (
        f"error: {tmp_path}/absent: no such data set; make one with `monai-seunet prepare`, or correct the path"
    )
    assert not (tmp_path / "out").exists()


def test_a_killed_experiment_goes_on(write_experiment, tmp_path):
    trainings = {"PlainUNet": {"overlays": ["networks/plain_unet"], "options": {"epochs": 60, "val_interval": 60}}}
    file, output = write_experiment(trainings=trainings, claims=[]), tmp_path / "out"
    words = [sys.executable, "-m", "monai_seunet.cli", *command(file, output)]
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    state = output / "two" / "PlainUNet-0" / "models" / "last.pt"
    end = time.monotonic() + 120
    while not state.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    process.kill()  # the runner alone
    process.wait()
    assert main(command(file, output)) == 1, "its training goes on, and holds the folder"
    with pytest.raises(ProcessLookupError):  # until its group is gone
        while time.monotonic() < end:
            os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.1)
    state = json.loads((output / "two" / "PlainUNet-0" / "training.json").read_text())
    assert state["done"] == {}
    assert main(command(file, output)) == 0
    client, runs = runs_of(default_tracking_uri(output))
    steps = [point.step for point in client.get_metric_history(runs["PlainUNet-0"].info.run_id, "train_loss")]
    assert len(runs) == 1 and sorted(steps) == list(range(1, 61)), "one run, no epoch twice"


@contextmanager
def mlflow_server(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlruns.db"]
    words += ["--artifacts-destination", str(folder / "files"), "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    uri, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=5)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.3)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_all_of_it_works_with_a_server(write_experiment, synthetic, tmp_path, capsys):
    trainings = {"SEUNet-geometric": {"overlays": ["networks/seunet_geometric"]}}
    file, output = write_experiment(trainings=trainings, claims=[]), tmp_path / "out"
    with mlflow_server(tmp_path / "server") as uri:
        assert main(command(file, output, "--tracking-uri", uri)) == 0
        assert main(["report", "two", "--tracking-uri", uri, "--out", str(tmp_path / "report")]) == 0
        assert (tmp_path / "report" / "report.html").exists()
        client, _ = runs_of(uri)
        parent = find_parent(client, "two").info.run_id
        client.log_text(parent, "of an earlier report", "report/evaluation_validation/heads_former.csv")
        assert main(["report", "two", "--tracking-uri", uri, "--out", str(tmp_path / "report")]) == 0
        held = {Path(file.path).name for file in client.list_artifacts(parent, "report/evaluation_validation")}
        assert "methods.csv" in held and "heads_former.csv" not in held
        network = ["--bundle", str(BUNDLE), "--network", "seunet_geometric", "--width", "5", "--set", "stain=false"]
        weights = output / "two" / "SEUNet-geometric-0" / "models" / "model.pt"
        words = [*network, "--checkpoint", str(weights), "--data", str(synthetic), "--name", "nuclei"]
        assert main(["register", *words, "--tracking-uri", uri]) == 0
        assert "nuclei version 1" in capsys.readouterr().out
        _, runs = runs_of(uri)
        version = mlflow.MlflowClient(uri).get_model_version("nuclei", "1")
        assert version.run_id == runs["SEUNet-geometric-0"].info.run_id and version.tags["fusion"] == "p_max"


@pytest.mark.parametrize("way", ["cluster", "torchrun"])
def test_trainings_on_a_cluster_and_in_several_processes(write_experiment, tmp_path, way):
    trainings = {"PlainUNet": {"overlays": ["networks/plain_unet"], "evaluations": {}}}
    file, output = write_experiment(trainings=trainings, claims=[]), tmp_path / "out"
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        options = ["--scheduler", cluster.scheduler_address] if way == "cluster" else ["--torchrun", "2"]
        assert main(command(file, output, *options)) == 0
    _, runs = runs_of(default_tracking_uri(output))
    assert runs["PlainUNet-0"].info.status == "FINISHED"
    assert (output / "two" / "PlainUNet-0" / "models" / "model.pt").exists()


def test_a_store_without_the_experiment_is_named(tmp_path, capsys):
    assert main(["report", "two", "--output", str(tmp_path)]) == 2
    assert "experiment 'two' is not there" in capsys.readouterr().err
