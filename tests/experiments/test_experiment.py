"""Experiments as they are run, resumed and reported, with MLflow's store in a file and behind a server."""

import csv
import json
import os
import shutil
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
from experiment_runs import command, runs_of, table_of
from repository import BUNDLE

from monai_seunet.cli import main
from monai_seunet.experiments.tracking import find_parent
from monai_seunet.report.scales.report import ScaleReport

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("experiments"), pytest.mark.timeout(1800)]


def plain(**options):
    """One training, which is not evaluated."""
    return {"PlainUNet": {"overlays": ["networks/plain_unet"], "evaluations": {}, "options": options}}


def test_an_experiment_is_run_reported_and_not_run_twice(output, capsys):
    client, runs = runs_of(output)
    assert sorted(runs) == ["PlainUNet-0", "SEUNet-geometric-0", "SEUNet-geometric-1"]
    for name, run in runs.items():
        assert run.data.metrics["step_cpu_seconds"] > 0 and run.data.metrics["step_seconds"] > 0
        certified = any(metric.startswith("certificate/") for metric in run.data.metrics)
        assert certified == (name == "PlainUNet-0"), "the one whose plan asks for it"
        assert run.data.tags["evaluated.validation"] and run.info.status == "FINISHED"
    weights = torch.load(output / "two" / "SEUNet-geometric-0" / "models" / "model.pt", weights_only=True)
    assert "encoder.0.0.norm.norms.1.weight" in weights, "an option of the network that is a switch"
    before = {path: path.stat().st_mtime_ns for path in output.rglob("models/*")}
    assert main(command(output / "two.json", output)) == 0 and "3 of 3 trainings" in capsys.readouterr().out
    assert len(before) == 6 and {path: path.stat().st_mtime_ns for path in output.rglob("models/*")} == before

    parent = find_parent(client, "two").info.run_id
    client.log_text(parent, "of a method that is gone", "report/evaluation_validation_synthetic/heads_former.csv")
    assert main(["report", "two", "--output", str(output)]) == 0
    report = output / "two" / "report"
    page = (report / "report.html").read_text()
    assert "Two networks" in page and "Not all evaluations" not in page and page.count("data:image/png") > 5
    assert "://" not in page, "the page needs nothing from elsewhere"
    for name in ("methods.csv", "methods.svg", "claims.md", "heads_SEUNet-geometric.csv"):
        assert (report / "evaluation_validation_synthetic" / name).stat().st_size
    assert (report / "rotation_validation" / "rotations.png").exists()
    held = {file.path for file in client.list_artifacts(parent, "report/evaluation_validation_synthetic")}
    made = {path.name for path in (report / "evaluation_validation_synthetic").iterdir()}
    assert {Path(path).name for path in held} == made
    logged = {file.path for file in client.list_artifacts(parent, "report")}
    assert {Path(path).name for path in logged} == {path.name for path in report.iterdir()} - {"experiment.json"}
    with (report / "trainings.csv").open() as file:
        minutes = {row["run"]: float(row["minutes"]) for row in csv.DictReader(file)}
    for name, run in runs.items():
        steps = len(client.get_metric_history(run.info.run_id, "loss"))
        seconds = [point.value for point in client.get_metric_history(run.info.run_id, "step_seconds")]
        assert minutes[name] == pytest.approx(steps * np.mean(seconds) / 60, abs=0.06)
    rows = (report / "evaluation_validation_synthetic" / "methods.csv").read_text().splitlines()
    scores = [run.data.metrics["validation/mean_over_scales.p_max"] for n, run in runs.items() if "SEUNet" in n]
    table = dict(zip(rows[0].split(","), rows[1].split(","), strict=True))
    assert float(table["P_Max"]) == pytest.approx(100 * np.mean(scores), abs=0.006)


def test_every_training_is_evaluated_on_several_data_sets(write_experiment, run_experiment, on_both, output):
    before = {path: path.stat().st_mtime_ns for path in output.rglob("models/*")}
    file = write_experiment(evaluations=on_both)
    assert run_experiment(file, output, "--only", "PlainUNet") == 0
    assert main(["report", "two", "--output", str(output)]) == 0
    report = output / "two" / "report"
    assert "2 to come: SEUNet-geometric-0, SEUNet-geometric-1" in (report / "report.html").read_text()
    assert run_experiment(file, output) == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("models/*")} == before, "nothing is trained again"

    client, runs = runs_of(output)
    parts, means, curves = ("validation", "else_where__2_-validation"), {}, {}
    for name, run in runs.items():
        means[name] = [run.data.metrics[f"{part}/mean_score_over_scales"] for part in parts]
        assert run.data.tags["data"] == "synthetic"
        for place, part in zip(on_both, parts, strict=True):
            made = ScaleReport.load(output / "two" / name / place / "report.json")
            assert made.scores.mean(made.final) == pytest.approx(run.data.metrics[f"{part}/mean_score_over_scales"])
            points = client.get_metric_history(run.info.run_id, f"{part}/score_over_scales")
            curves.setdefault((name[:-2], part), []).append([point.value for point in points])
    assert means["PlainUNet-0"][0] != means["PlainUNet-0"][1], "it finds nuclei, of which the data sets have others"

    assert main(["report", "two", "--output", str(output)]) == 0
    page = (report / "report.html").read_text()
    assert "to come" not in page
    evaluations = [f"Evaluation: validation, {data}" for data in ("synthetic", "else where (2)")]
    titles = ["<h1>", "Both data sets: validation", *evaluations]
    assert all(first in page.partition(before)[2] for before, first in pairwise(titles)), "in this order"
    shown = {}
    for data, part in zip(("synthetic", "else where (2)"), parts, strict=True):
        rows = table_of(report / f"evaluation_validation_{data}" / "methods.csv")
        assert rows.keys() == {"PlainUNet", "SEUNet-geometric"}
        for method, row in rows.items():
            curve = np.mean(curves[method, part], axis=0)
            expected = [100 * np.mean(curve), 100 * curve[1], 100 * np.ptp(curve)]
            shown.setdefault(method, []).extend(f"{value:.2f}" for value in expected)
            assert row["range"] == shown[method][-1] and bool(row["E_Err"]) == (part == parts[0])
    both = table_of(report / "data_sets_validation" / "data_sets.csv")
    assert {method: list(row.values())[1:] for method, row in both.items()} == shown
    claimed = table_of(report / "data_sets_validation" / "claims.csv")
    assert list(claimed["range of PlainUNet (at most)"].values())[1:] == [*shown["PlainUNet"][2::3], "0.00"]
    ranges = table_of(report / "evaluation_validation_else where (2)" / "claims.csv")["range of PlainUNet (at most)"]
    assert ranges["measured"] == shown["PlainUNet"][-1]


def test_another_plan_is_refused_and_one_that_fails_stops_no_other(write_experiment, run_experiment, tmp_path, capsys):
    output = tmp_path / "out"
    large = {"overlays": ["networks/plain_unet"], "options": {"crop_size": 4000}}
    trainings = {"too large": large, **plain(epochs=1)}
    assert run_experiment(write_experiment(trainings=trainings, claims=[]), output) == 1
    told = capsys.readouterr()
    assert "crop_size" in told.err and "1 of 2 trainings" in told.out
    trainings["PlainUNet"]["options"]["max_lr"] = 0.5
    before = (output / "two" / "PlainUNet-0" / "training.json").read_bytes()
    assert main(command(write_experiment(trainings=trainings, claims=[]), output, "--only", "PlainUNet")) == 1
    assert (output / "two" / "PlainUNet-0" / "training.json").read_bytes() == before, "what is done is not touched"
    assert "was trained with options" in capsys.readouterr().err
    assert main(command(write_experiment(), output, "--only", "nobody")) == 2
    assert "--only nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{"options": {"dataset_dir": ...}}, {"evaluations": {"evaluate@other": {"dataset_dir": ...}}}]
)
def test_data_that_are_not_there_are_missed_before_anything_is_trained(write_experiment, tmp_path, capsys, changes):
    text = json.dumps(changes, default=lambda _: str(tmp_path / "absent"))
    assert main(command(write_experiment(**json.loads(text)), tmp_path / "out")) == 2
    assert capsys.readouterr().err.strip() == (
        f"error: {tmp_path}/absent: no such data set; make one with `monai-seunet prepare`, or correct the path"
    )
    assert not (tmp_path / "out").exists()


def test_a_killed_experiment_goes_on(write_experiment, run_experiment, empty_store, tmp_path):
    file, output = write_experiment(trainings=plain(epochs=60, val_interval=60), claims=[]), tmp_path / "out"
    output.mkdir()
    shutil.copy(empty_store, output)
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
    client, runs = runs_of(output)
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
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # as scripts/mlflow.sh
    process = subprocess.Popen(
        words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
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
    trainings = {"SEUNet-geometric": {"overlays": ["networks/seunet_geometric"], "options": {"epochs": 1}}}
    file, output = write_experiment(trainings=trainings, claims=[]), tmp_path / "out"
    with mlflow_server(tmp_path / "server") as uri:
        assert main(command(file, output, "--tracking-uri", uri)) == 0
        client, _ = runs_of(uri)
        parent = find_parent(client, "two").info.run_id
        client.log_text(parent, "of an earlier report", "report/evaluation_validation/heads_former.csv")
        assert main(["report", "two", "--tracking-uri", uri, "--out", str(tmp_path / "report")]) == 0
        assert (tmp_path / "report" / "report.html").exists()
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
def test_trainings_on_a_cluster_and_in_several_processes(write_experiment, run_experiment, tmp_path, way):
    file, output = write_experiment(trainings=plain(epochs=1), claims=[]), tmp_path / "out"
    if way == "torchrun":
        assert run_experiment(file, output, "--torchrun", "2") == 0
    else:
        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
            assert run_experiment(file, output, "--scheduler", cluster.scheduler_address) == 0
    _, runs = runs_of(output)
    assert runs["PlainUNet-0"].info.status == "FINISHED"
    assert (output / "two" / "PlainUNet-0" / "models" / "model.pt").exists()


@pytest.mark.parametrize(
    ("there", "said"), [(False, "no such store, so experiment 'two' is not"), (True, "experiment 'two' is not at")]
)
@pytest.mark.parametrize("words", [["report", "two"], ["archive", "two", "kept"]])
def test_a_store_without_the_experiment_is_named(empty_store, tmp_path, monkeypatch, capsys, there, said, words):
    monkeypatch.chdir(tmp_path)
    if there:
        shutil.copy(empty_store, tmp_path)
    assert main([*words, "--output", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert (tmp_path / "mlruns.db").exists() == there
