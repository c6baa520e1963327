"""An experiment of two small networks on synthetic images, so that a training takes seconds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCALES = {"minimum_scale": 0.5, "maximum_scale": 2, "steps_per_octave": 1, "panel_field": 96}


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
