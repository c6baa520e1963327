"""Data sets as inputs of MLflow runs, which MLflow's pages show in the column Dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from monai_seunet.data.datalist import PreparedDataset


def section_digest(dataset: PreparedDataset, section: str) -> str:
    """Return eight hexadecimal digits that identify a section by the names and sizes of its files.

    The digest does not depend on the folder of the data set, and no file is read.

    Args:
        dataset: a single data set.
        section: `training`, `validation` or `test`.
    """
    root = dataset.path.parent.resolve()
    files = [Path(item[key]).resolve() for item in getattr(dataset, section) for key in ("image", "label")]
    content = [(file.relative_to(root).as_posix(), file.stat().st_size) for file in files]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]


def log_dataset(client: MlflowClient, run_id: str, dataset: PreparedDataset, sections: Sequence[str]) -> None:
    """Log sections of a data set as inputs of a run, with the section as their context.

    Each data set of a joined one is an input of its own. An input that the run has already is not logged twice; after a
    change of names or sizes of files, the run has both. A corrected file of the same size is no change, since files are
    not read.

    Args:
        client: client of the tracking server.
        run_id: id of the run.
        dataset: data set of the run.
        sections: sections that the run reads; empty ones are left out.
    """
    inputs = [
        DatasetInput(_entity(part, section), [InputTag(MLFLOW_DATASET_CONTEXT, section)])
        for part in dataset.parts or (dataset,)
        for section in sections
        if getattr(part, section)
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def _entity(dataset: PreparedDataset, section: str) -> Dataset:
    source = json.dumps({"uri": str(dataset.path.resolve())})
    profile = {
        "images": len(getattr(dataset, section)),
        "classes": list(dataset.classes),
        "mpp": dataset.mpp,
        "licence": dataset.licence,
    }
    return Dataset(dataset.name, section_digest(dataset, section), "local", source, profile=json.dumps(profile))
