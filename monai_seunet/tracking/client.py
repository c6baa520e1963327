"""Where MLflow keeps runs and their files, and what a run says of the code."""

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

DEFAULT_EXPERIMENT = "seunet"  # of train.json
SOURCE_TAGS = {MLFLOW_SOURCE_NAME: "monai_seunet", MLFLOW_SOURCE_TYPE: "LOCAL"}  # MLflow shows no commit without them


def sqlite_uri(path: str | Path) -> str:
    """The tracking URI of a SQLite store, whatever its folder is called.

    Only what would mean something else is quoted: MLflow makes the folder of the URI as it is written, too.

    Args:
        path: file of the store.
    """
    return "sqlite:///" + re.sub(r"%(?=[0-9A-Fa-f]{2})", "%25", str(Path(path).absolute())).replace("?", "%3F")


def connect(tracking_uri: str) -> MlflowClient:
    """A client of the tracking server. The environment's MLFLOW_TRACKING_URI wins over the argument, as in MONAI.

    A new store is laid out by one process, while others that come to it wait.

    Raises:
        InputError: where nothing answers there.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or tracking_uri
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # one for each small file
    try:
        with _alone_at(uri):
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


def experiment_id(client: MlflowClient, name: str = DEFAULT_EXPERIMENT) -> str:
    """The number of an experiment, made where it is not there: its files lie beside a SQLite store.

    Raises:
        InputError: where the experiment was deleted, or its files go to a folder of another machine.
    """
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


def code_tags() -> dict[str, str]:
    """The version of this package; in a clone also its commit, and whether files differ from that."""
    tags, root = {"version": monai_seunet.__version__}, Path(__file__).resolve().parents[2]
    commit = get_git_commit(str(root)) if (root / ".git").exists() else None  # never that of a user's repository
    if commit is None:
        return tags
    status = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=root, capture_output=True, text=True)
    changed = str(bool(status.stdout.strip())).lower()
    return {**tags, **SOURCE_TAGS, MLFLOW_GIT_COMMIT: commit, "changed_since_commit": changed}


def log_command(client: MlflowClient, run_id: str) -> None:
    """Log how this program was called, without the password of a server, and the config files that it names."""
    command = re.sub(r"(?<=://)[^/@\s]+@", "", shlex.join(sys.argv))
    client.log_text(run_id, command, "config/command.txt")
    for path in _named_configs(sys.argv):
        client.log_artifact(run_id, str(path), "config")


def replace_artifacts(client: MlflowClient, run: Run, place: str, paths: Iterable[Path]) -> None:
    """Log files and folders to one place of a run, instead of what was there.

    Args:
        client: of the tracking server.
        run: whose artifacts they become.
        place: folder of the artifacts.
        paths: files and folders that go into it.
    """
    if client.list_artifacts(run.info.run_id, place):
        get_artifact_repository(run.info.artifact_uri, client.tracking_uri).delete_artifacts(place)
    for path in paths:
        if path.is_dir():
            client.log_artifacts(run.info.run_id, str(path), f"{place}/{path.name}")
        else:
            client.log_artifact(run.info.run_id, str(path), place)


def _named_configs(arguments: Sequence[str]) -> list[Path]:
    """The config files that exist among the words of a command line, alone or in a list."""
    words = [word for argument in arguments for word in (argument, argument.partition("=")[2])]
    names = dict.fromkeys(name for word in words for name in (word, *word.split(","), *_listed(word)))
    return [path for path in map(Path, names) if path.suffix in (".json", ".yaml", ".yml") and path.is_file()]


def _listed(word: str) -> list[str]:
    """The texts of a list in Python's form."""
    try:
        values = ast.literal_eval(word) if word.startswith(("[", "(")) else ()
    except (ValueError, SyntaxError, TypeError):
        return []
    return [str(value) for value in values] if isinstance(values, list | tuple) else []


def _is_here(host: str | None) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _artifacts(client: MlflowClient) -> str | None:
    """Files lie beside a SQLite store, wherever the command was started; a server knows its own place."""
    file = _store(client.tracking_uri)
    return None if file is None else (file.parent / "mlruns").as_uri()


def _store(uri: str) -> Path | None:
    """File of a SQLite store; None for a server."""
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)).absolute() if is_file else None


@contextmanager
def _alone_at(uri: str) -> Iterator[None]:
    """Hold the folder of a SQLite store: two processes that lay out a new one spoil it for each other."""
    file = _store(uri)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    quoted = Path(uri.partition("sqlite:///")[2]).absolute().parent  # which MLflow makes, too, and does not use
    strays = [folder for folder in (quoted, *quoted.parents) if not folder.exists()]
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network drive that locks no folders
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
        with suppress(OSError):  # there is none, or it holds something
            for stray in strays:
                stray.rmdir()
