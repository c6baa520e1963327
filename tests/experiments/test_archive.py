"""Trainings of an experiment that are written to files and brought back."""

import json
import shutil
from pathlib import Path

import pytest
from experiment_runs import runs_of

from monai_seunet.cli import main
from monai_seunet.experiments.archive_file import read_runs, write_runs
from monai_seunet.experiments.tables import archived_tables
from monai_seunet.tracking.client import SOURCE_TAGS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("experiments"), pytest.mark.timeout(1800)]


def tables_in(output):
    report = output / "two" / "report"
    return {str(path.relative_to(report).with_suffix("")): path.read_text() for path in report.rglob("*.csv")}


def test_archived_trainings_are_restored_with_all_that_a_report_shows(
    write_experiment, run_experiment, output, empty_store, tmp_path, capsys
):
    file, other, archive = write_experiment(), tmp_path / "other", tmp_path / "kept" / "two"
    other.mkdir()
    shutil.copy(empty_store, other)
    assert main(["report", "two", "--output", str(output)]) == 0
    keep = ["archive", "two", "--output", str(output)]
    assert main([*keep, str(archive.parent)]) == 0
    assert "3 trainings" in capsys.readouterr().out
    training = output / "two" / "PlainUNet-0"
    assert (training / "evaluate" / "panels.npz").exists() and (training / "evaluate" / "equivariance.png").exists()
    runs = {run.name: run for run in read_runs(archive)}
    run = runs["PlainUNet-0"]
    assert sorted(runs) == ["PlainUNet-0", "SEUNet-geometric-0", "SEUNet-geometric-1"]
    left_out = {"panels.npz", "command.txt", "sigmas.png", "equivariance.png"}
    assert not left_out & {Path(path).name for path in run.files}, "no image of the data, no redrawable picture"
    contents = b"".join([run.files["evaluation/validation/report.json"], *map(str.encode, run.tags.values())])
    assert b"PlainUNet-0/models/model.pt" in contents and str(output).encode() not in contents
    tables = {path: table.to_csv() for path, table in archived_tables(archive).items()}
    assert len(tables) > 5 and tables.items() <= tables_in(output).items()

    state = json.loads((training / "training.json").read_text())
    part = {job: state["done"][job] for job in ("train", "evaluate")}
    (training / "training.json").write_text(json.dumps({**state, "done": part}))
    assert main([*keep, str(tmp_path / "none")]) == 0
    assert "2 trainings" in capsys.readouterr().out, "not before it is evaluated"
    (training / "training.json").write_text(json.dumps(state))
    assert main([*keep, str(output)]) == 2 and (training / "models" / "model.pt").exists()
    assert "give another folder for the archive" in capsys.readouterr().err

    for count in (3, 0):  # nothing is there twice, and a folder that is gone is made again
        shutil.rmtree(other / "two", ignore_errors=True)
        assert main(["restore", str(archive), "--output", str(other)]) == 0
        assert f"two: {count} runs restored" in capsys.readouterr().out
    assert main(["archive", "two", str(tmp_path / "again"), "--output", str(other)]) == 0
    for name in ("runs.parquet", "experiment.json"):
        assert (tmp_path / "again" / "two" / name).read_bytes() == (archive / name).read_bytes(), name
    assert main(["report", "two", "--output", str(other)]) == 0
    assert tables_in(other) == tables_in(output)
    first, second = (runs_of(place)[1]["PlainUNet-0"].data for place in (output, other))
    assert first.metrics == second.metrics and first.params == second.params
    assert first.tags["split"] == second.tags["split"]
    assert SOURCE_TAGS.items() <= second.tags.items(), "MLflow shows no commit without them"
    assert run_experiment(file, other) == 0
    assert not list(other.rglob("*.pt")), "what was restored is not run again"

    # Of another data set or split, under names that no training of the experiment has: sections of their own.
    path = "evaluation/validation/report.json"
    given = [run]
    for name, tags, values in (
        ("stranger-0", {"data": "elsewhere", "kind": "experiment", "mlflow.user": "some"}, {"data": "elsewhere"}),
        ("other-0", {"split": "ffffffff"}, {"split": ""}),  # as before reports said it: that of the run counts
    ):
        report = json.dumps(json.loads(run.files[path]) | values).encode()
        given.append(run._replace(name=name, tags=run.tags | tags, files=run.files | {path: report}))
    write_runs(archive, given)
    assert main(["restore", str(archive), "--output", str(other)]) == 0
    assert "kind" not in runs_of(other)[1]["stranger-0"].data.tags, "it would pass for the run of the experiment"
    sections = {path.split("/")[0] for path in archived_tables(archive) if path.startswith("evaluation")}
    assert len(sections) == 4 and "evaluation_validation_elsewhere" in sections
    assert len([name for name in sections if name.endswith("_ffffffff")]) == 1

    write_runs(archive, [run._replace(state={"plan": {**run.state["plan"], "seed": 1}, "done": {}})])
    capsys.readouterr()
    assert main(["restore", str(archive), "--output", str(other)]) == 2
    told = capsys.readouterr().err
    assert f"{archive}: 'PlainUNet-0' is another training than at" in told and told.count("\n") == 1
