"""Archives of the finished trainings of an experiment, written from MLflow and restored into MLflow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID

from monai_seunet.experiments.archive_file import RUNS, ArchivedRun, read_runs, thin, write_runs
from monai_seunet.experiments.plan import Experiment, load_experiment
from monai_seunet.experiments.records import artifacts, download, history
from monai_seunet.experiments.tracking import FILE, KIND, children, fetch_experiment, is_evaluated, open_parent
from monai_seunet.experiments.training import STATE, is_done, read_state
from monai_seunet.tracking.client import SOURCE_TAGS
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text
from monai_seunet.utils.progress import progress_bar

# Files with images of the data set, whose licence may forbid to share them, and the command line of this machine.
LEFT_OUT = ("panels.npz", "certificate.png", "command.txt")
RESTORED = "restored"  # tag of restored runs


def write_archive(client: MlflowClient, name: str, output: Path, folder: Path) -> int:
    """Write the finished trainings of an experiment to an archive.

    The archive has the configs and everything that a report needs, except images of the data set: a restored report
    lacks the predictions across scales. Absolute paths of this machine become relative to the folder of the experiment.
    Paths in the file of the experiment stay.

    Args:
        client: client of the tracking server.
        name: name of the experiment.
        output: folder of the experiment, with one folder for each training.
        folder: folder of the archive; its runs are kept unless a run of the same name replaces them.

    Returns:
        Number of written runs.

    Raises:
        InputError: the experiment has no run, or the folder contains the trainings or a damaged archive.
    """
    if folder.resolve() == output.resolve():
        raise InputError(f"{folder}: the trainings themselves are there; give another folder for the archive")
    parent, experiment = fetch_experiment(client, name, folder)
    trainings = {training.name: training for training in experiment.trainings}
    runs = [run for run in children(client, parent) if run.info.run_name in trainings]
    done = [run for run in runs if is_done(trainings[str(run.info.run_name)], output)]
    archived = {run.name: run for run in read_runs(folder)} if (folder / RUNS).exists() else {}
    for run in progress_bar(done, desc="archive", unit="run"):
        archived[str(run.info.run_name)] = _archived_run(client, run, output / str(run.info.run_name))
    if done:
        write_runs(folder, archived.values())
    return len(done)


def restore_archive(client: MlflowClient, folder: Path, output: Path) -> tuple[str, int]:
    """Add archived runs to MLflow.

    Other runs of the same experiment stay, and its report shows all runs. A run that MLflow already has is not added.
    The trainings count as finished.

    Args:
        client: client of the tracking server.
        folder: folder of the archive.
        output: folder of all experiments.

    Returns:
        Name of the experiment, and number of added runs.

    Raises:
        InputError: the folder is no archive or damaged, or its trainings differ from those of the experiment of the
            same name in MLflow.
    """
    experiment, runs = read_archive(folder)
    open_parent(client, experiment, keep=True)
    parent, current = fetch_experiment(client, experiment.name, output / experiment.name)
    plans = {training.name: training.plan() for training in current.trainings}
    for run in runs:
        if run.state["plan"] != plans.get(run.name, run.state["plan"]):
            raise InputError(f"{folder}: '{run.name}' is another training than at {client.tracking_uri}")
    complete = [run for run in children(client, parent) if is_evaluated(run) or RESTORED in run.data.tags]
    present = {str(run.info.run_name) for run in complete}
    new = [run for run in runs if run.name not in present]
    for run in progress_bar(new, desc="restore", unit="run"):
        _add(client, parent, run, folder)
    for run in runs:
        state = output / experiment.name / run.name / STATE
        if not state.exists():
            write_text(state, json.dumps(run.state, indent=1) + "\n")
    client.set_terminated(parent.info.run_id)
    return experiment.name, len(new)


def read_archive(folder: Path) -> tuple[Experiment, list[ArchivedRun]]:
    """Read an experiment and its archived runs.

    Raises:
        InputError: the folder is no archive or damaged.
    """
    runs = read_runs(folder)
    return load_experiment(folder / FILE, folder.resolve().name), runs


def _archived_run(client: MlflowClient, run: Run, output: Path) -> ArchivedRun:
    name, run_id = str(run.info.run_name), run.info.run_id
    points = [point for metric in sorted(run.data.metrics) for point in thin(history(client, run_id, metric))]
    kept = [path for path in sorted(artifacts(client, run_id)) if Path(path).name not in LEFT_OUT]
    with TemporaryDirectory() as folder:
        local = {path: download(client, run_id, path, Path(folder)) for path in kept}
        files = {path: _without_folders(file.read_bytes(), name) for path, file in local.items()}
    tags = {key: _relative(value, name) for key, value in _own(run.data.tags).items()}
    params = {key: _relative(value, name) for key, value in sorted(run.data.params.items())}
    state = read_state(output)
    return ArchivedRun(name, run.info.start_time, run.info.end_time, tags, params, state, points, files)


def _without_folders(content: bytes, name: str) -> bytes:
    """Return a file with relative paths instead of absolute ones in quotation marks; pictures are unchanged."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content
    return re.sub(r'(?<=")/[^"\n]*(?=")', lambda match: _relative(match[0], name), text).encode()


def _relative(value: str, name: str) -> str:
    """Return an absolute path from the folder of the training on, or its last part; other texts are unchanged."""
    parts = PurePath(value).parts
    if not value.startswith("/") or len(parts) < 2:
        return value
    return "/".join(parts[parts.index(name) :]) if name in parts else parts[-1]


def _own(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the sorted tags without `RESTORED`, the tag of a parent, and those of MLflow except the commit."""
    return {
        key: value
        for key, value in sorted(tags.items())
        if key == MLFLOW_GIT_COMMIT or (key not in (KIND, RESTORED) and not key.startswith("mlflow."))
    }


def _add(client: MlflowClient, parent: Run, run: ArchivedRun, folder: Path) -> None:
    tags = {**SOURCE_TAGS, **_own(run.tags), MLFLOW_PARENT_RUN_ID: parent.info.run_id, RESTORED: "true"}
    run_id = client.create_run(parent.info.experiment_id, start_time=run.start, run_name=run.name).info.run_id
    try:
        metrics = [Metric(point.metric, point.value, point.time, point.step) for point in run.points]
        client.log_batch(run_id, metrics, [Param(*pair) for pair in run.params.items()])
        with TemporaryDirectory() as files:
            run.write_files(Path(files))
            client.log_artifacts(run_id, files)
        # The tags come last, because `restore_archive` finds complete runs by them.
        client.log_batch(run_id, tags=[RunTag(*pair) for pair in tags.items()])
        client.set_terminated(run_id, end_time=run.end)
    except (MlflowException, OSError, ValueError, TypeError) as error:
        client.delete_run(run_id)
        raise InputError(f"{folder}: '{run.name}' cannot be restored ({str(error).splitlines()[0]})") from error
