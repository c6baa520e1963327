"""An experiment in MLflow: one run that its trainings are children of."""

from __future__ import annotations

import json
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from monai_seunet.experiments.plan import Experiment, parse_experiment
from monai_seunet.tracking.client import code_tags, experiment_id
from monai_seunet.utils.errors import InputError

KIND, PARENT = "kind", "experiment"  # tag of the parent
FILE = "experiment.json"


def find_parent(client: MlflowClient, name: str) -> Run | None:
    """The run of an experiment; None where it has not been started."""
    known = client.get_experiment_by_name(name)
    if known is None:
        return None
    runs = client.search_runs([known.experiment_id], f"tags.{KIND} = '{PARENT}'", ViewType.ACTIVE_ONLY, 1)
    return runs[0] if runs else None


def open_parent(client: MlflowClient, experiment: Experiment, keep: bool = False) -> Run:
    """The run of an experiment, made where it is not there.

    Args:
        client: of the tracking server.
        experiment: whose file is logged to the run.
        keep: leave the file of a run that is there.

    Raises:
        InputError: where the experiment was deleted, or its files go to a folder of another machine.
    """
    found = find_parent(client, experiment.name)
    if found is not None and keep:
        return found
    if found is None:
        number = experiment_id(client, experiment.name)
        tags = {KIND: PARENT, MLFLOW_RUN_NOTE: f"{experiment.title}\n\n{experiment.about}", **code_tags()}
        found = client.create_run(number, run_name=experiment.name, tags=tags)
    client.log_dict(found.info.run_id, dict(experiment.source), FILE)
    return found


def known_experiment(client: MlflowClient, parent: Run, folder: Path) -> Experiment:
    """The experiment as it was run last.

    Args:
        client: of the tracking server.
        parent: run of the experiment.
        folder: where its file goes.

    Raises:
        InputError: where the run has lost its file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = Path(client.download_artifacts(parent.info.run_id, FILE, str(folder)))
        content = json.loads(path.read_text(encoding="utf-8"))
    except (MlflowException, OSError, ValueError) as error:
        raise InputError(f"{FILE} of '{parent.info.run_name}' cannot be read at {client.tracking_uri}") from error
    return parse_experiment(str(parent.info.run_name), content, str(path))


def children(client: MlflowClient, parent: Run) -> list[Run]:
    """The runs of an experiment's trainings, oldest first.

    Of those with the same name, as from two machines, the latest that has been evaluated; else the latest.
    """
    runs: dict[str, Run] = {}
    token = None
    while token is None or token:
        page = client.search_runs([parent.info.experiment_id], order_by=["attributes.start_time ASC"], page_token=token)
        for run in page:
            former = runs.get(str(run.info.run_name))
            if run.data.tags.get(KIND) != PARENT and (former is None or is_evaluated(run) or not is_evaluated(former)):
                runs[str(run.info.run_name)] = run
        token = page.token or ""
    return list(runs.values())


def is_evaluated(run: Run) -> bool:
    """Whether a run has the scores of its training."""
    return any(name.startswith("evaluated") for name in run.data.tags)
