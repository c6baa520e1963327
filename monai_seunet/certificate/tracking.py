"""Record of a certificate in the MLflow run of the training."""

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
    """Return the single numbers of a certificate by names such as `certificate/zoom.e_err`."""
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
    """Log numbers and files to the run of the training, or to a new run if the server does not have it.

    Args:
        certificate: values of the certificate.
        files: files of the certificate.
        tracking_uri: SQLite file or server; the variable MLFLOW_TRACKING_URI overrides it.
        run_id: id of the training run, or None if it is unknown.

    Returns:
        The id of the run.

    Raises:
        InputError: for an invalid tracking URI, or a server that does not answer.
    """
    client = connect(tracking_uri)
    with mlflow_errors(client):
        run = _find_run(client, run_id) or _create_run(client, certificate)
        for name, value in certificate_metrics(certificate).items():
            client.log_metric(run, name, value)
        for file in files:
            client.log_artifact(run, str(file), "certificate")
        client.set_terminated(run)
    return run


def _find_run(client: MlflowClient, run_id: str | None) -> str | None:
    if run_id is None:
        return None
    try:
        return client.get_run(run_id).info.run_id
    except MlflowException:
        logger.warning("this tracking URI has no run %s of the training; a new run starts", run_id)
        return None


def _create_run(client: MlflowClient, certificate: Mapping[str, Any]) -> str:
    network = certificate["network"]["name"]
    tags = {"network": network, **code_tags()}
    return client.create_run(experiment_id(client), run_name=f"{network}-certificate", tags=tags).info.run_id
