"""The command `monai-seunet register`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from monai_seunet.commands.network_options import (
    add_model_option,
    add_network_options,
    check_network,
    network_arguments,
    require_paths,
)

SIDE = 128  # side of the example images in pixels


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `register`."""
    add_model_option(parser)
    add_network_options(parser)
    parser.add_argument("--name", required=True, help="name of the model; an existing model gets a new version")
    parser.add_argument("--data", type=Path, required=True, help="prepared data set, or images, for the example")
    parser.add_argument("--licence", default="", help="licence of the weights (default: that of --data)")
    parser.add_argument("--tracking-uri", metavar="URI", help="store of MLflow (default: beside the checkpoint)")
    parser.set_defaults(run=lambda options: print(run(options)))


def run(options: argparse.Namespace) -> str:
    """Register a network, and return a sentence about the model."""
    check_network(options)
    require_paths([options.data])
    import numpy as np

    from monai_seunet.certificate.subject import read_images
    from monai_seunet.config.read import content, read_config, trained_network
    from monai_seunet.data.datalist import FILE_NAME, load_dataset
    from monai_seunet.export.registry import MLFLOW_TRACKING_URI, register_network
    from monai_seunet.metrics.equivariance import centre
    from monai_seunet.tracking.client import sqlite_uri
    from monai_seunet.tracking.evaluation import training_run

    config = read_config(**network_arguments(options))
    network, checkpoint = trained_network(config, options.checkpoint)
    _, images = read_images(config, options.data, 2, SIDE)
    example = np.stack([centre(image, SIDE).numpy() for image in images])
    beside = sqlite_uri(checkpoint.resolve().parent.parent / "mlruns.db")
    uri = os.environ.get(MLFLOW_TRACKING_URI) or options.tracking_uri or beside
    prepared = load_dataset(options.data) if (options.data / FILE_NAME).is_file() else None
    licence = options.licence or (prepared.licence if prepared else "")
    tags = {"network": options.network, "fusion": content(config, "fusion"), "licence": licence or "not stated"}
    version = register_network(network, tags["fusion"], example, options.name, uri, training_run(checkpoint), tags)
    return f"{options.name} version {version} at {uri}: mlflow.pytorch.load_model('models:/{options.name}/{version}')"
