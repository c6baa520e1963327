"""An experiment in MLflow: one run that its trainings are children of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_RUN_NOTE

from monai_seunet.errors import InputError
from monai_seunet.experiments.plan import Experiment, parse_experiment

KIND, PARENT = "kind", "experiment"  # tag of the parent
FILE = "experiment.json"


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the tracking server. The environment's MLFLOW_TRACKING_URI wins over the argument.

    Raises:
        InputError: where nothing answers there.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # one for each small file
    try:
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise InputError(f"tracking_uri '{uri}': {str(error).splitlines()[0]}") from error
    return client


@contextmanager
def mlflow_errors(client: MlflowClient) -> Iterator[None]:
    """What MLflow refuses or cannot reach, as an error that a user can act on."""
    try:
        yield
    except MlflowException as error:
        raise InputError(f"MLflow at {client.tracking_uri}: {str(error).splitlines()[0]}") from error


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
        number = _experiment_id(client, experiment.name)
        tags = {KIND: PARENT, MLFLOW_RUN_NOTE: f"{experiment.title}\n\n{experiment.about}"}
        commit = get_git_commit(os.getcwd())
        found = client.create_run(
            number, run_name=experiment.name, tags=tags | ({MLFLOW_GIT_COMMIT: commit} if commit else {})
        )
    client.log_dict(found.info.run_id, dict(experiment.source), FILE)
    return found


def _experiment_id(client: MlflowClient, name: str) -> str:
    known = client.get_experiment_by_name(name)
    if known is None:
        try:
            return client.create_experiment(name, _artifacts(client))
        except MlflowException:  # made by another process in between
            known = client.get_experiment_by_name(name)
            if known is None:
                raise
    uri = urlparse(client.tracking_uri)
    if known.lifecycle_stage != "active":
        raise InputError(f"experiment '{name}' was deleted at {client.tracking_uri}; restore or rename it there first")
    if uri.scheme in ("http", "https") and known.artifact_location.startswith("file:") and not _is_here(uri.hostname):
        raise InputError(
            f"experiment '{name}' keeps its files at {known.artifact_location}, in a folder of the machine that began "
            "it; start scripts/mlflow.sh first, and begin the experiment with --tracking-uri"
        )
    return str(known.experiment_id)


def _is_here(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


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


def _artifacts(client: MlflowClient) -> str | None:
    """Files lie beside a SQLite store, wherever the command was started; a server knows its own place."""
    scheme, _, path = client.tracking_uri.partition("sqlite:///")
    return None if scheme else (Path(unquote(path)).absolute().parent / "mlruns").as_uri()


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
