"""How experiments are run from the command line, and what they leave."""

import csv
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from repository import BUNDLE

from monai_seunet.commands.experiment import default_tracking_uri
from monai_seunet.experiments.tracking import children, find_parent
from monai_seunet.tracking.client import connect


def command(file: Path, output: Path, *more: str) -> list[str]:
    return ["experiment", str(file), "--bundle", str(BUNDLE), "--output", str(output), *more]


def runs_of(place: Path | str) -> tuple[MlflowClient, dict[str, Run]]:
    """The runs of the experiment `two` by their names, of an output folder or a server."""
    client = connect(place if isinstance(place, str) else default_tracking_uri(place))
    return client, {run.info.run_name: run for run in children(client, find_parent(client, "two"))}


def table_of(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by their names."""
    with path.open() as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}
