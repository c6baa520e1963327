"""Experiments in MLflow: one parent run with the runs of the trainings as children."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from monai_seunet.experiments.plan import Experiment, load_experiment
from monai_seunet.tracking.client import code_tags, experiment_id
from monai_seunet.utils.errors import InputError

KIND, PARENT = "kind", "experiment"  # tag of the parent
FILE = "experiment.json"
MAX_RUNS = 50_000  # limit of one search in MLflow


def find_parent(client: MlflowClient, name: str) -> Run | None:
    """Return the run of an experiment; None if the experiment has not been started."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], f"tags.{KIND} = '{PARENT}'", ViewType.ACTIVE_ONLY, 1)
    return runs[0] if runs else None


def open_parent(client: MlflowClient, experiment: Experiment, keep: bool = False) -> Run:
    """Return the run of an experiment, and create it if it does not exist.

    The file of the experiment is logged to the run; with `keep`, the file of an existing run stays.

    Raises:
        InputError: the experiment was deleted, or its files go to a folder of another machine.
    """
    parent = find_parent(client, experiment.name)
    if parent is not None and keep:
        return parent
    if parent is None:
        number = experiment_id(client, experiment.name)
        tags = {KIND: PARENT, MLFLOW_RUN_NOTE: f"{experiment.title}\n\n{experiment.about}", **code_tags()}
        parent = client.create_run(number, run_name=experiment.name, tags=tags)
    client.log_dict(parent.info.run_id, dict(experiment.source), FILE)
    return parent


def fetch_experiment(client: MlflowClient, name: str, folder: Path) -> tuple[Run, Experiment]:
    """Return the run of an experiment, and the experiment as it was run last, whose file is downloaded into a folder.

    Raises:
        InputError: the experiment has no run, or the run has lost its file.
    """
    parent = find_parent(client, name)
    if parent is None:
        raise InputError(f"experiment '{name}' is not at {client.tracking_uri}; run it, or give its --tracking-uri")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = Path(client.download_artifacts(parent.info.run_id, FILE, str(folder)))
    except (MlflowException, OSError) as error:
        raise InputError(f"{FILE} of '{name}' cannot be read at {client.tracking_uri}") from error
    return parent, load_experiment(path, name)


def children(client: MlflowClient, parent: Run) -> list[Run]:
    """Return the runs of the trainings of an experiment, the oldest first.

    Runs of the same name, such as from two machines, count once: the latest run with an evaluation, or else the latest.
    """
    runs: dict[str, Run] = {}
    all_runs = client.search_runs([parent.info.experiment_id], "", ViewType.ACTIVE_ONLY, MAX_RUNS, ["start_time ASC"])
    for run in all_runs:
        former = runs.get(str(run.info.run_name))
        if run.data.tags.get(KIND) != PARENT and (former is None or is_evaluated(run) or not is_evaluated(former)):
            runs[str(run.info.run_name)] = run
    return list(runs.values())


def is_evaluated(run: Run) -> bool:
    """Return whether a run has the scores of its training."""
    return any(name.startswith("evaluated") for name in run.data.tags)
