"""Runs of an experiment that are written to files and brought back."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_seunet.cli import main
from monai_seunet.experiments.command import default_tracking_uri
from monai_seunet.experiments.tracking import children, connect, find_parent

pytestmark = pytest.mark.slow
BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
TABLES = ("trainings.csv", "evaluation_validation/methods.csv", "rotation_validation/rotations.csv")


def runs_in(output):
    client = connect(default_tracking_uri(output))
    return {run.info.run_name: run for run in children(client, find_parent(client, "two"))}


def test_archived_runs_are_restored_with_all_that_a_report_shows(write_experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    file, output, other = write_experiment(), tmp_path / "out", tmp_path / "other"
    archive, run_again = tmp_path / "kept" / "two", ["experiment", str(file), "--bundle", str(BUNDLE), "--output"]
    assert main([*run_again, str(output), "--only", "PlainUNet"]) == 0
    assert main(["report", "two", "--output", str(output)]) == 0
    assert main(["archive", "two", str(archive.parent), "--output", str(output)]) == 0
    assert "1 trainings" in capsys.readouterr().out

    assert (output / "two" / "PlainUNet-0" / "evaluate" / "panels.npz").exists()
    assert not list(archive.rglob("panels.npz")), "images of the data set stay where they are"

    for folder in ("evaluate", "evaluate_rotation"):
        hidden = output / "two" / "PlainUNet-0" / folder / "report.json"
        hidden.rename(hidden.with_suffix(".hidden"))
        assert main(["archive", "two", str(tmp_path / "none"), "--output", str(output)]) == 0
        assert "0 trainings" in capsys.readouterr().out, "not before it is evaluated"
        hidden.with_suffix(".hidden").rename(hidden)

    for count in (1, 0):  # nothing is there twice
        assert main(["restore", str(archive), "--output", str(other)]) == 0
        assert f"two: {count} runs restored" in capsys.readouterr().out
    assert main(["report", "two", "--output", str(other)]) == 0
    for table in TABLES:
        made, again = (place / "two" / "report" / table for place in (output, other))
        assert made.read_bytes() == again.read_bytes(), table
    first, second = (runs_in(place)["PlainUNet-0"].data for place in (output, other))
    assert first.metrics == second.metrics and first.params == second.params
    assert first.tags["split"] == second.tags["split"]
    assert main([*run_again, str(other), "--only", "PlainUNet"]) == 0
    assert not list(other.rglob("*.pt")), "what was restored is not run again"

    damaged = archive / "PlainUNet-0" / "run.json"
    damaged.write_text(damaged.read_text()[:-20])
    assert main(["restore", str(archive), "--output", str(tmp_path / "third")]) == 2
    assert "no archive of an experiment" in capsys.readouterr().err
