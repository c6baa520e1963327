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
from tqdm import tqdm

from monai_seunet.errors import InputError
from monai_seunet.experiments.plan import Experiment, parse_experiment
from monai_seunet.experiments.records import CERTIFICATE, EVALUATIONS, WANTED
from monai_seunet.experiments.tracking import FILE, children, find_parent, known_experiment, open_parent
from monai_seunet.experiments.training import PLAN, RESTORED, is_done
from monai_seunet.report.files import file_name, write_text

RUN, FILES, FORM = "run.json", "artifacts", "monai_seunet run 1"
SHOW_DATA = ("panels.npz", "certificate.png")  # not for everybody, where the licence of a data set says so
MOST_METRICS, MOST_PARAMS = 1000, 100  # in one call of MLflow


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
        InputError: where the experiment has no run.
    """
    parent = find_parent(client, name)
    if parent is None:
        raise InputError(f"experiment '{name}' is not at {client.tracking_uri}; run it, or give its --tracking-uri")
    done = {
        training.name for training in known_experiment(client, parent, folder).trainings if is_done(training, output)
    }
    finished = [run for run in children(client, parent) if run.info.run_name in done]
    for run in tqdm(finished, desc="archive", unit="run"):
        target = folder / file_name(str(run.info.run_name))
        if target.exists():
            shutil.rmtree(target)
        for path in _wanted(client, run.info.run_id):
            client.download_artifacts(run.info.run_id, path, str(_made(target / FILES / Path(path).parent)))
        shutil.copyfile(output / str(run.info.run_name) / PLAN, target / PLAN)
        write_text(target / RUN, json.dumps(_content(client, run), separators=(",", ":")) + "\n")
    return len(finished)


def restore_archive(client: MlflowClient, folder: Path, output: Path) -> tuple[str, int]:
    """Bring archived runs back into MLflow, beside others of the same experiment; its report shows all of them.

    A run whose name is there already is left as it is. The trainings count as done: they are not run again.

    Args:
        client: of the tracking server.
        folder: written by `write_archive`.
        output: folder of all experiments.

    Returns:
        Name of the experiment, and how many runs were added.

    Raises:
        InputError: where the folder is no archive, or is damaged.
    """
    try:
        source = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = [(path.parent, _read(path)) for path in sorted(folder.glob(f"*/{RUN}"))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: no archive of an experiment ({error}); give a folder that `archive` wrote"
        ) from error
    experiment: Experiment = parse_experiment(folder.resolve().name, source, str(folder / FILE))
    parent = open_parent(client, experiment)
    known = {run.info.run_name for run in children(client, parent)}
    new = [(path, content) for path, content in found if content["name"] not in known]
    for path, content in tqdm(new, desc="restore", unit="run"):
        _add(client, parent, path, content)
    for path, content in found:
        place = output / experiment.name / file_name(content["name"])
        if not (place / PLAN).exists():
            shutil.copyfile(path / PLAN, _made(place) / PLAN)
            (place / RESTORED).touch()
    client.set_terminated(parent.info.run_id)
    return experiment.name, len(new)


def _content(client: MlflowClient, run: Run) -> dict[str, Any]:
    """All plain values of a run; tags of MLflow's own only where they say which code it was."""
    history = {key: client.get_metric_history(run.info.run_id, key) for key in sorted(run.data.metrics)}
    return {
        "format": FORM,
        "name": run.info.run_name,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.") or k == MLFLOW_GIT_COMMIT},
        "params": dict(run.data.params),
        "metrics": {key: [[p.step, p.value, p.timestamp] for p in points] for key, points in history.items()},
    }


def _read(path: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    json.loads(path.with_name(PLAN).read_text(encoding="utf-8"))
    if content["format"] != FORM:
        raise ValueError(f"{path} has the format '{content['format']}'")
    return {key: content[key] for key in ("name", "start", "end", "tags", "params", "metrics")}


def _add(client: MlflowClient, parent: Run, path: Path, content: Mapping[str, Any]) -> None:
    tags = {**content["tags"], MLFLOW_PARENT_RUN_ID: parent.info.run_id}
    number, name = parent.info.experiment_id, content["name"]
    run = client.create_run(number, start_time=content["start"], run_name=name).info.run_id
    try:
        metrics = [Metric(key, v, t, s) for key, points in content["metrics"].items() for s, v, t in points]
        params = [Param(*pair) for pair in content["params"].items()]
        for start in range(0, len(metrics), MOST_METRICS):
            client.log_batch(run, metrics=metrics[start : start + MOST_METRICS])
        for start in range(0, len(params), MOST_PARAMS):
            client.log_batch(run, params=params[start : start + MOST_PARAMS])
        client.log_artifacts(run, str(path / FILES))
        client.log_batch(run, tags=[RunTag(*pair) for pair in tags.items()])  # last: half of a run has no parent
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
