"""An experiment of two small networks on synthetic images, so that a training takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monai_seunet.data.sets.synthetic import prepare_synthetic
from monai_seunet.data.split import split_by_group

SCALES = {"minimum_scale": 0.5, "maximum_scale": 2, "steps_per_octave": 1, "panel_field": 96}


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another prepared data set, with a name of its own: three smaller images, one of them for validation."""
    folder = tmp_path_factory.mktemp("data") / "elsewhere"
    prepare_synthetic(folder, lambda groups: (split_by_group(groups, validation=0.34), {}), images=3, pixels=96)
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, "name": "else where (2)"}))
    return folder


@pytest.fixture
def on_both(elsewhere: Path) -> dict[str, Any]:
    """Evaluations of every training on its own data set and on the other one."""
    other = {**SCALES, "dataset_dir": str(elsewhere), "field": 64, "equivariance": False}
    return {"evaluate": SCALES, "evaluate@elsewhere": other}


@pytest.fixture
def write_experiment(tmp_path: Path, small_training: dict[str, Any], synthetic: Path) -> Callable[..., Path]:
    """Write the file of an experiment, with other keys where they are given."""

    def write(**changes: Any) -> Path:
        content = {
            "title": "Two networks",
            "about": "On synthetic images.",
            "options": {**small_training, "dataset_dir": str(synthetic)},
            "evaluations": {"evaluate": SCALES},
            "trainings": {
                "SEUNet-geometric": {
                    "overlays": ["networks/seunet_geometric"],
                    "options": {"network_def#shared_norm": False},
                    "seeds": [0, 1],
                },
                "PlainUNet": {"overlays": ["networks/plain_unet"], "evaluations": {"evaluate_rotation": {}}},
            },
            "claims": [{"better": "SEUNet-geometric", "than": "PlainUNet", "points": -100}],
        }
        path = tmp_path / "two.json"
        path.write_text(json.dumps({**content, **changes}))
        return path

    return write
