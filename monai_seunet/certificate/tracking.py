"""A certificate in MLflow, beside the training of the weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from monai_seunet.tracking.client import code_tags, connect, experiment_id, mlflow_errors

logger = logging.getLogger(__name__)


def certificate_metrics(certificate: Mapping[str, Any]) -> dict[str, float]:
    """The single numbers of a certificate, as `certificate/rotation.max_relative_error_float64`."""
    parts = {part: certificate[part] for part in ("prediction", "rotation", "zoom", "shift")}
    return {
        f"certificate/{part}.{name}": value
        for part, values in parts.items()
        for name, value in values.items()
        if isinstance(value, float)
    }


def log_certificate(
    certificate: Mapping[str, Any], files: Sequence[Path], tracking_uri: str, run_id: str | None
) -> str:
    """Log numbers and files to the run of the training, or to a new one where the server does not have it.

    Args:
        certificate: its values.
        files: that belong to it.
        tracking_uri: SQLite file or server. The environment's MLFLOW_TRACKING_URI wins over it.
        run_id: of the training; None where it is not known.

    Returns:
        Identifier of the run.

    Raises:
        InputError: for a tracking URI that MLflow does not take, or a server that does not answer.
    """
    client = connect(tracking_uri)
    with mlflow_errors(client):
        run = _known(client, run_id) or _created(client, certificate)
        for name, value in certificate_metrics(certificate).items():
            client.log_metric(run, name, value)
        for file in files:
            client.log_artifact(run, str(file), "certificate")
        client.set_terminated(run)
    return run


def _known(client: MlflowClient, run_id: str | None) -> str | None:
    if run_id is None:
        return None
    try:
        return client.get_run(run_id).info.run_id
    except MlflowException:
        logger.warning("the MLflow run %s of the training is not at this tracking URI; a new one starts", run_id)
        return None


def _created(client: MlflowClient, certificate: Mapping[str, Any]) -> str:
    network = certificate["network"]["name"]
    tags = {"network": network, **code_tags()}
    return client.create_run(experiment_id(client), run_name=f"{network}-certificate", tags=tags).info.run_id
