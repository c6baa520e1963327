"""Registration of a trained network in MLflow's Model Registry, without pickle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.ordinary import OrdinaryNetwork
from monai_seunet.utils.errors import InputError

TOLERANCE = 1e-5
DESCRIPTION = (
    "Input: images after the bundle's preprocessing, (B, C, H, W) float32 of any B, H and W. Output: class "
    "probabilities (B, N, H, W), fused from the scale groups; a network with directions has two more channels, "
    "y and x of the direction to the centre of the object. The model has ordinary convolutions and needs only torch."
)
MLFLOW_TRACKING_URI = "MLFLOW_TRACKING_URI"


def register_network(
    network: Network,
    fusion: str,
    example: np.ndarray,
    name: str,
    tracking_uri: str,
    run_id: str | None = None,
    tags: dict[str, str] | None = None,
) -> int:
    """Log a network as an exported graph (`pt2`) and register it.

    `mlflow.pytorch.load_model` and `mlflow.pyfunc.load_model` return a model that needs only torch. It maps images
    (B, C, H, W), preprocessed, float32 of any B, H and W, to fused probabilities (B, N, H, W); directions are two more
    channels.

    Args:
        network: network in evaluation mode on the CPU.
        fusion: strategy that fuses the scale groups.
        example: two preprocessed images (2, C, H, W), float32.
        name: name of the registered model.
        tracking_uri: tracking URI of MLflow.
        run_id: id of the run for the model, such as that of the training; None or an unknown id starts a new run.
        tags: tags of the version.

    Returns:
        The number of the version.

    Raises:
        InputError: for an invalid tracking URI, or a model whose predictions differ.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from monai_seunet.tracking.client import code_tags, connect, experiment_id

    ordinary = OrdinaryNetwork(network, fusion)
    with torch.no_grad():
        expected = ordinary(torch.from_numpy(example))
    shapes = [(-1, array.shape[1], -1, -1) for array in (example, expected)]
    inputs, outputs = (Schema([TensorSpec(np.dtype("float32"), shape)]) for shape in shapes)
    try:
        with _tracking(mlflow, tracking_uri):
            if _has_run(mlflow, run_id):
                run = mlflow.start_run(run_id=run_id)
            else:
                experiment = experiment_id(connect(tracking_uri))
                run = mlflow.start_run(experiment_id=experiment, run_name=name, tags=code_tags())
            with run:
                info = mlflow.pytorch.log_model(
                    ordinary,
                    name="model",
                    signature=ModelSignature(inputs, outputs),
                    input_example=example,
                    serialization_format="pt2",
                    registered_model_name=name,
                    pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
                )
            loaded = mlflow.pytorch.load_model(info.model_uri)
            with torch.no_grad():
                difference = float((loaded(torch.from_numpy(example)) - expected).abs().max())
            if not difference <= TOLERANCE:
                raise InputError(f"the registered model differs by {difference:.1e}; allowed is {TOLERANCE:g}")
            version = int(info.registered_model_version)
            client = mlflow.MlflowClient()
            client.update_model_version(name, str(version), DESCRIPTION)
            for key, value in (tags or {}).items():
                client.set_model_version_tag(name, str(version), key, value)
    except MlflowException as error:
        raise InputError(f"tracking_uri '{tracking_uri}': {str(error).splitlines()[0]}") from error
    return version


@contextmanager
def _tracking(mlflow: Any, uri: str) -> Iterator[None]:
    """Set MLflow's global tracking URI and its variable in the environment, and restore both afterwards."""
    former, variable = mlflow.get_tracking_uri(), os.environ.get(MLFLOW_TRACKING_URI)
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(former)
        os.environ.pop(MLFLOW_TRACKING_URI, None)
        os.environ.update({} if variable is None else {MLFLOW_TRACKING_URI: variable})


def _has_run(mlflow: Any, run_id: str | None) -> bool:
    try:
        return run_id is not None and mlflow.get_run(run_id) is not None
    except mlflow.exceptions.MlflowException:
        return False
