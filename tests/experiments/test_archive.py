"""Trainings of an experiment that are written to files and brought back."""

from __future__ import annotations

import json
import shutil

import pytest
from repository import BUNDLE

from monai_seunet.cli import main
from monai_seunet.commands.experiment import default_tracking_uri
from monai_seunet.experiments.tracking import children, find_parent
from monai_seunet.tracking.client import SOURCE_TAGS, connect

pytestmark = pytest.mark.slow
TABLES = (
    "trainings.csv",
    "data_sets_validation/data_sets.csv",
    "evaluation_validation_synthetic/methods.csv",
    "evaluation_validation_else where (2)/methods.csv",
    "rotation_validation/rotations.csv",
)


def runs_in(output):
    client = connect(default_tracking_uri(output))
    return {run.info.run_name: run for run in children(client, find_parent(client, "two"))}


def changed(path, **values):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


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
    assert (training / "evaluate" / "panels.npz").exists()
    assert not list(archive.rglob("panels.npz")), "images of the data set stay where they are"

    done = json.loads((training / "training.json").read_text())
    changed(training / "training.json", done={key: done["done"][key] for key in ("train", "evaluate")})
    assert main([*keep, str(tmp_path / "none")]) == 0
    assert "0 trainings" in capsys.readouterr().out, "not before it is evaluated"
    changed(training / "training.json", **done)
    assert main([*keep, str(output)]) == 2 and (training / "models" / "model.pt").exists()
    assert "give another folder for the archive" in capsys.readouterr().err

    for count in (1, 0):  # nothing is there twice, and a folder that is gone is made again
        shutil.rmtree(other / "two", ignore_errors=True)
        assert main(["restore", str(archive), "--output", str(other)]) == 0
        assert f"two: {count} runs restored" in capsys.readouterr().out
    assert main(["report", "two", "--output", str(other)]) == 0
    for table in TABLES:
        made, again = (place / "two" / "report" / table for place in (output, other))
        assert made.read_bytes() == again.read_bytes(), table
    first, second = (runs_in(place)["PlainUNet-0"].data for place in (output, other))
    assert first.metrics == second.metrics and first.params == second.params
    assert first.tags["split"] == second.tags["split"]
    assert SOURCE_TAGS.items() <= second.tags.items(), "MLflow shows no commit without them"
    assert main([*run_again, str(other), "--only", "PlainUNet"]) == 0
    assert not list(other.rglob("*.pt")), "what was restored is not run again"

    # Of another data set or split, under names that no training of the experiment has: sections of their own.
    for name, images in (("stranger-0", {"data": "elsewhere"}), ("other-0", {"split": "ffffffff"})):
        stranger = archive / name
        shutil.copytree(archive / "PlainUNet-0", stranger)
        tags = json.loads((stranger / "run.json").read_text())["tags"]
        changed(
            stranger / "run.json", name=name, tags=tags | images | {"kind": "experiment", "mlflow.user": "somebody"}
        )
    for report in (archive / "stranger-0").rglob("validation/report.json"):
        changed(report, data="elsewhere")
    for report in (archive / "other-0").rglob("validation/report.json"):
        changed(report, split="")  # as before reports said it: that of the run counts
    assert main(["restore", str(archive), "--output", str(other)]) == 0
    assert "kind" not in runs_in(other)["stranger-0"].data.tags, "it would pass for the run of the experiment"
    assert main(["report", "two", "--output", str(other)]) == 0
    sections = {path.parent.name for path in (other / "two" / "report").glob("evaluation_*/methods.csv")}
    assert len(sections) == 4 and "evaluation_validation_elsewhere" in sections
    assert len([name for name in sections if name.endswith("_ffffffff")]) == 1


@pytest.fixture
def archive(tmp_path):
    """The least that an archive holds."""
    folder = tmp_path / "two"
    run = {"format": "monai_seunet run 1", "name": "A-0", "start": 1, "end": 2, "tags": {}, "params": {}, "metrics": {}}
    plan = {"method": "A", "seed": 0, "overlays": [], "options": {}}
    (folder / "A-0" / "artifacts").mkdir(parents=True)
    (folder / "experiment.json").write_text(json.dumps({"title": "t", "about": "a", "trainings": {"A": {}}}))
    (folder / "A-0" / "run.json").write_text(json.dumps(run))
    (folder / "A-0" / "training.json").write_text(json.dumps({"plan": plan, "done": {}}))
    return folder


def test_the_least_archive_is_one(archive, tmp_path):
    assert main(["restore", str(archive), "--output", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda run: (run / "run.json").write_text("{"), "no archive of an experiment"),
        (lambda run: changed(run / "run.json", metrics=[]), None),
        (lambda run: changed(run / "run.json", metrics=3), "no archive of an experiment"),
        (lambda run: changed(run / "run.json", name="../../A-0"), "is of '../../A-0'"),
        (lambda run: (run / "training.json").unlink(), "no archive of an experiment"),
        (lambda run: (run / "artifacts" / "command.txt").symlink_to("/etc/passwd"), "is a link"),
        (lambda run: changed(run / "training.json", plan={"method": "B"}), "is another training"),
    ],
)
def test_a_harmed_archive_is_refused_in_one_line(archive, tmp_path, capsys, harm, said):
    harm(archive / "A-0")
    assert main(["restore", str(archive), "--output", str(tmp_path / "out")]) == (2 if said else 0)
    assert (said or "") in capsys.readouterr().err
