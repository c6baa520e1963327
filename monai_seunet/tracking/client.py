"""Connection to MLflow, experiments, artifacts, and tags that identify the code."""

from __future__ import annotations

import ast
import fcntl
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlparse

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.git_utils import get_git_commit
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

import monai_seunet
from monai_seunet.utils.errors import InputError

DEFAULT_EXPERIMENT = "seunet"  # the default of train.json
SOURCE_TAGS = {MLFLOW_SOURCE_NAME: "monai_seunet", MLFLOW_SOURCE_TYPE: "LOCAL"}  # MLflow shows no commit without them


def sqlite_uri(path: str | Path) -> str:
    """Return the tracking URI of a SQLite file; special characters of its path are quoted.

    >>> sqlite_uri("/runs/50%25/mlruns.db")
    'sqlite:////runs/50%2525/mlruns.db'
    """
    # Only ambiguous characters are quoted, because MLflow also makes the folder under its quoted name.
    return "sqlite:///" + re.sub(r"%(?=[0-9A-Fa-f]{2})", "%25", str(Path(path).absolute())).replace("?", "%3F")


def connect(tracking_uri: str) -> MlflowClient:
    """Return a client of the tracking server; the variable MLFLOW_TRACKING_URI overrides the argument, as in MONAI.

    One process creates the tables of a new store while other processes wait.

    Raises:
        InputError: for a server or a store that does not answer.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # no bar for each small file
    try:
        with _store_lock(uri):
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise InputError(f"tracking_uri '{uri}': {str(error).splitlines()[0]}") from error
    return client


@contextmanager
def mlflow_errors(client: MlflowClient) -> Iterator[None]:
    """Raise errors of MLflow as `InputError`."""
    try:
        yield
    except MlflowException as error:
        raise InputError(f"MLflow at {client.tracking_uri}: {str(error).splitlines()[0]}") from error


def experiment_id(client: MlflowClient, name: str = DEFAULT_EXPERIMENT) -> str:
    """Return the id of an experiment, which is created if needed; files of a SQLite store lie beside it.

    Raises:
        InputError: for a deleted experiment, or an experiment whose files lie in a folder of another machine.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        file = _store(client.tracking_uri)
        folder = None if file is None else (file.parent / "mlruns").as_uri()  # a server has its own
        try:
            return client.create_experiment(name, folder)
        except MlflowException:  # another process may have created it meanwhile
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                raise
    uri = urlparse(client.tracking_uri)
    if experiment.lifecycle_stage != "active":
        raise InputError(f"experiment '{name}' was deleted at {client.tracking_uri}; restore or rename it there first")
    location = experiment.artifact_location
    remote = uri.scheme in ("http", "https") and uri.hostname not in ("localhost", "127.0.0.1", "::1")
    if remote and location.startswith("file:"):
        raise InputError(
            f"experiment '{name}' keeps its files at {location}, a folder of the machine that created it; start "
            "scripts/mlflow.sh first, and create the experiment with --tracking-uri"
        )
    return str(experiment.experiment_id)


def code_tags() -> dict[str, str]:
    """Return the version of this package; in a clone also its commit and whether files differ from it."""
    tags, root = {"version": monai_seunet.__version__}, Path(__file__).resolve().parents[2]
    commit = get_git_commit(str(root)) if (root / ".git").exists() else None  # not the commit of a user's repository
    if commit is None:
        return tags
    status = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True)
    changed = str(bool(status.stdout.strip())).lower()
    return {**tags, **SOURCE_TAGS, MLFLOW_GIT_COMMIT: commit, "changed_since_commit": changed}


def log_command(client: MlflowClient, run_id: str) -> None:
    """Log the command line, without the password of a server, and the config files that it names."""
    command = re.sub(r"(?<=://)[^/@\s]+@", "", shlex.join(sys.argv))
    client.log_text(run_id, command, "config/command.txt")
    for path in _named_configs(sys.argv):
        client.log_artifact(run_id, str(path), "config")


def replace_artifacts(client: MlflowClient, run: Run, folder: str, paths: Iterable[Path]) -> None:
    """Replace the content of a folder of artifacts of a run by files and folders."""
    if client.list_artifacts(run.info.run_id, folder):
        get_artifact_repository(run.info.artifact_uri, client.tracking_uri).delete_artifacts(folder)
    for path in paths:
        if path.is_dir():
            client.log_artifacts(run.info.run_id, str(path), f"{folder}/{path.name}")
        else:
            client.log_artifact(run.info.run_id, str(path), folder)


def _named_configs(arguments: Sequence[str]) -> list[Path]:
    """Return the existing config files that a command line names, alone or in a list."""
    words = [word for argument in arguments for word in (argument, argument.partition("=")[2])]
    names = dict.fromkeys(name for word in words for name in (word, *word.split(","), *_listed(word)))
    return [path for path in map(Path, names) if path.suffix in (".json", ".yaml", ".yml") and path.is_file()]


def _listed(word: str) -> list[str]:
    """Return the entries of a Python list as texts; other words give an empty list."""
    try:
        values = ast.literal_eval(word) if word.startswith(("[", "(")) else ()
    except (ValueError, SyntaxError, TypeError):
        return []
    return [str(value) for value in values] if isinstance(values, list | tuple) else []


def _store(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for a server."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)).absolute() if is_file else None


@contextmanager
def _store_lock(uri: str) -> Iterator[None]:
    """Lock the folder of a SQLite store, because two processes that create one at the same time damage it."""
    file = _store(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    quoted = Path(uri.partition("sqlite:///")[2]).absolute().parent  # MLflow makes this folder without using it
    strays = [folder for folder in (quoted, *quoted.parents) if not folder.exists()]
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives cannot lock folders
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
        with suppress(OSError):  # a folder is missing or not empty
            for stray in strays:
                stray.rmdir()
