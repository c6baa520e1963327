"""The trainings of an experiment that are done, as plain files, to be kept with the code, and back into MLflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

from monai_seunet.experiments.plan import parse_experiment
from monai_seunet.experiments.records import CERTIFICATE, EVALUATIONS, WANTED
from monai_seunet.experiments.tracking import (
    FILE,
    KIND,
    children,
    find_parent,
    is_evaluated,
    known_experiment,
    open_parent,
)
from monai_seunet.experiments.training import STATE, is_done
from monai_seunet.tracking.client import SOURCE_TAGS
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import file_name, write_text
from monai_seunet.utils.progress import progress_bar

RUN, FILES, FORM = "run.json", "artifacts", "monai_seunet run 1"
SHOW_DATA = ("panels.npz", "certificate.png")  # not for everybody, where the licence of a data set says so
RESTORED = "restored"  # tag of a run that came from an archive


def write_archive(client: MlflowClient, name: str, output: Path, folder: Path) -> int:
    """Write the trainings of an experiment that are done to files: what MLflow knows and what reports are made from.

    No file shows an image of the data set, so that a restored report lacks the predictions across scales.

    Args:
        client: of the tracking server.
        name: of the experiment.
        output: folder of the experiment, with one for every training.
        folder: where to write; a run that is there already is replaced by the one of the same name.

    Returns:
        How many runs were written.

    Raises:
        InputError: where the experiment has no run, or the folder holds something else.
    """
    parent = find_parent(client, name)
    if parent is None:
        raise InputError(f"experiment '{name}' is not at {client.tracking_uri}; run it, or give its --tracking-uri")
    if folder.resolve() == output.resolve():
        raise InputError(f"{folder}: the trainings themselves are there; give another folder for the archive")
    trainings = {training.name: training for training in known_experiment(client, parent, folder).trainings}
    runs = [run for run in children(client, parent) if run.info.run_name in trainings]
    done = [run for run in runs if is_done(trainings[str(run.info.run_name)], output)]
    for run in progress_bar(done, desc="archive", unit="run"):
        target = folder / str(run.info.run_name)
        if target.exists() and not (target / RUN).exists():
            raise InputError(f"{target}: is no archived run; give another folder for the archive")
        new = target.with_name(f".{target.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        for path in _wanted(client, run.info.run_id):
            client.download_artifacts(run.info.run_id, path, str(_made(new / FILES / Path(path).parent)))
        shutil.copyfile(output / target.name / STATE, new / STATE)
        write_text(new / RUN, json.dumps(_content(client, run), separators=(",", ":")) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        new.rename(target)
    return len(done)


def restore_archive(client: MlflowClient, folder: Path, output: Path) -> tuple[str, int]:
    """Bring archived runs back into MLflow, beside others of the same experiment; its report shows all of them.

    A run that is there already, evaluated, is left as it is. The trainings count as done: they are not run again.

    Args:
        client: of the tracking server.
        folder: written by `write_archive`.
        output: folder of all experiments.

    Returns:
        Name of the experiment, and how many runs were added.

    Raises:
        InputError: where the folder is no archive, is damaged, or holds other trainings than the experiment of that
            name which is there.
    """
    try:
        source = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = {path.parent: _read(path.parent) for path in sorted(folder.glob(f"*/{RUN}"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder}: no archive of an experiment ({reason}); give one that `archive` wrote") from error
    experiment = parse_experiment(folder.resolve().name, source, str(folder / FILE))
    parent = open_parent(client, experiment, keep=True)
    place = _made(output / experiment.name)
    theirs = {training.name: training for training in known_experiment(client, parent, place).trainings}
    for path, content in found.items():
        known = theirs.get(content["name"])
        if known is not None and known.plan() != content["state"]["plan"]:
            raise InputError(f"{path}: is another training than the '{known.name}' of {client.tracking_uri}")
    there = {
        str(run.info.run_name) for run in children(client, parent) if is_evaluated(run) or RESTORED in run.data.tags
    }
    new = {path: content for path, content in found.items() if content["name"] not in there}
    for path, content in progress_bar(new.items(), desc="restore", unit="run"):
        _add(client, parent, path, content)
    for content in found.values():
        state = place / content["name"] / STATE
        if not state.exists():
            write_text(state, json.dumps(content["state"], indent=1) + "\n")
    client.set_terminated(parent.info.run_id)
    return experiment.name, len(new)


def _content(client: MlflowClient, run: Run) -> dict[str, Any]:
    """All plain values of a run."""
    history = {key: client.get_metric_history(run.info.run_id, key) for key in sorted(run.data.metrics)}
    return {
        "format": FORM,
        "name": run.info.run_name,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "tags": _own(run.data.tags),
        "params": dict(run.data.params),
        "metrics": {key: [[p.step, p.value, p.timestamp] for p in points] for key, points in history.items()},
    }


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without those that MLflow and an experiment's run are found by, but for the commit."""
    return {
        key: value
        for key, value in tags.items()
        if key == MLFLOW_GIT_COMMIT or (key != KIND and not key.startswith("mlflow."))
    }


def _read(folder: Path) -> dict[str, Any]:
    """A run and the state of its training; files that lead out of the folder are refused."""
    content = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if content["format"] != FORM:
        raise ValueError(f"{folder / RUN} has the format '{content['format']}'")
    if content["name"] != folder.name or content["name"] != file_name(content["name"]):
        raise ValueError(f"{folder / RUN} is of '{content['name']}'")
    strange = [path for path in folder.rglob("*") if path.is_symlink()]
    if strange:
        raise ValueError(f"{strange[0]} is a link")
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return {
        **{key: content[key] for key in ("name", "start", "end")},
        "tags": _own(dict(content["tags"])),
        "params": [Param(key, value) for key, value in dict(content["params"]).items()],
        "metrics": [
            Metric(key, float(value), int(time), int(step))
            for key, points in dict(content["metrics"]).items()
            for step, value, time in points
        ],
        "state": {"plan": dict(state["plan"]), "done": dict(state["done"])},
    }


def _add(client: MlflowClient, parent: Run, path: Path, content: Mapping[str, Any]) -> None:
    tags = {**SOURCE_TAGS, **content["tags"], MLFLOW_PARENT_RUN_ID: parent.info.run_id, RESTORED: "true"}
    number, name = parent.info.experiment_id, content["name"]
    run = client.create_run(number, start_time=content["start"], run_name=name).info.run_id
    try:
        client.log_batch(run, metrics=content["metrics"], params=content["params"])
        client.log_artifacts(run, str(path / FILES))
        client.log_batch(run, tags=[RunTag(*pair) for pair in tags.items()])  # last: only then does it count as there
        client.set_terminated(run, end_time=content["end"])
    except (MlflowException, OSError, ValueError, TypeError) as error:
        client.delete_run(run)
        raise InputError(f"{path}: cannot be restored ({str(error).splitlines()[0]})") from error


def _wanted(client: MlflowClient, run: str) -> Iterator[str]:
    """What a report is made from, and the config that repeats the training."""
    sections = [section.path for kind in EVALUATIONS for section in client.list_artifacts(run, kind)]
    for folder in ("config", CERTIFICATE, *sections):
        for file in client.list_artifacts(run, folder):
            name = Path(file.path).name
            if name not in SHOW_DATA and (folder not in sections or name in WANTED):
                yield file.path


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
