"""Trainings of an experiment that are written to files and brought back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from repository import BUNDLE

from monai_seunet.cli import main
from monai_seunet.commands.experiment import default_tracking_uri
from monai_seunet.experiments.archive_file import read_runs, write_runs
from monai_seunet.experiments.tables import archived_tables
from monai_seunet.experiments.tracking import children, find_parent
from monai_seunet.tracking.client import SOURCE_TAGS, connect

pytestmark = pytest.mark.slow


def runs_in(output):
    client = connect(default_tracking_uri(output))
    return {run.info.run_name: run for run in children(client, find_parent(client, "two"))}


def tables_in(output):
    report = output / "two" / "report"
    return {str(path.relative_to(report).with_suffix("")): path.read_text() for path in report.rglob("*.csv")}


def test_archived_trainings_are_restored_with_all_that_a_report_shows(
    write_experiment, on_both, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file, output, other = write_experiment(evaluations=on_both), tmp_path / "out", tmp_path / "other"
    archive, run_again = tmp_path / "kept" / "two", ["experiment", str(file), "--bundle", str(BUNDLE), "--output"]
    assert main([*run_again, str(output), "--only", "PlainUNet"]) == 0
    assert main(["report", "two", "--output", str(output)]) == 0
    keep = ["archive", "two", "--output", str(output)]
    assert main([*keep, str(archive.parent)]) == 0
    assert "1 trainings" in capsys.readouterr().out
    training = output / "two" / "PlainUNet-0"
    assert (training / "evaluate" / "panels.npz").exists() and (training / "evaluate" / "equivariance.png").exists()
    (run,) = read_runs(archive)
    left_out = {"panels.npz", "command.txt", "sigmas.png", "equivariance.png"}
    assert not left_out & {Path(path).name for path in run.files}, "no image of the data, no redrawable picture"
    contents = b"".join([run.files["evaluation/validation/report.json"], *map(str.encode, run.tags.values())])
    assert b"PlainUNet-0/models/model.pt" in contents and str(tmp_path).encode() not in contents
    tables = {path: table.to_csv() for path, table in archived_tables(archive).items()}
    assert len(tables) > 5 and tables.items() <= tables_in(output).items()

    state = json.loads((training / "training.json").read_text())
    part = {job: state["done"][job] for job in ("train", "evaluate")}
    (training / "training.json").write_text(json.dumps({**state, "done": part}))
    assert main([*keep, str(tmp_path / "none")]) == 0
    assert "0 trainings" in capsys.readouterr().out, "not before it is evaluated"
    (training / "training.json").write_text(json.dumps(state))
    assert main([*keep, str(output)]) == 2 and (training / "models" / "model.pt").exists()
    assert "give another folder for the archive" in capsys.readouterr().err

    for count in (1, 0):  # nothing is there twice, and a folder that is gone is made again
        shutil.rmtree(other / "two", ignore_errors=True)
        assert main(["restore", str(archive), "--output", str(other)]) == 0
        assert f"two: {count} runs restored" in capsys.readouterr().out
    assert main(["archive", "two", str(tmp_path / "again"), "--output", str(other)]) == 0
    for file in ("runs.parquet", "experiment.json"):
        assert (tmp_path / "again" / "two" / file).read_bytes() == (archive / file).read_bytes(), file
    assert main(["report", "two", "--output", str(other)]) == 0
    assert tables_in(other) == tables_in(output)
    first, second = (runs_in(place)["PlainUNet-0"].data for place in (output, other))
    assert first.metrics == second.metrics and first.params == second.params
    assert first.tags["split"] == second.tags["split"]
    assert SOURCE_TAGS.items() <= second.tags.items(), "MLflow shows no commit without them"
    assert main([*run_again, str(other), "--only", "PlainUNet"]) == 0
    assert not list(other.rglob("*.pt")), "what was restored is not run again"

    # Of another data set or split, under names that no training of the experiment has: sections of their own.
    path = "evaluation/validation/report.json"
    runs = [run]
    for name, tags, values in (
        ("stranger-0", {"data": "elsewhere", "kind": "experiment", "mlflow.user": "some"}, {"data": "elsewhere"}),
        ("other-0", {"split": "ffffffff"}, {"split": ""}),  # as before reports said it: that of the run counts
    ):
        report = json.dumps(json.loads(run.files[path]) | values).encode()
        runs.append(run._replace(name=name, tags=run.tags | tags, files=run.files | {path: report}))
    write_runs(archive, runs)
    assert main(["restore", str(archive), "--output", str(other)]) == 0
    assert "kind" not in runs_in(other)["stranger-0"].data.tags, "it would pass for the run of the experiment"
    sections = {path.split("/")[0] for path in archived_tables(archive) if path.startswith("evaluation")}
    assert len(sections) == 4 and "evaluation_validation_elsewhere" in sections
    assert len([name for name in sections if name.endswith("_ffffffff")]) == 1

    write_runs(archive, [run._replace(state={"plan": {**run.state["plan"], "seed": 1}, "done": {}})])
    capsys.readouterr()
    assert main(["restore", str(archive), "--output", str(other)]) == 2
    told = capsys.readouterr().err
    assert f"{archive}: 'PlainUNet-0' is another training than at" in told and told.count("\n") == 1
