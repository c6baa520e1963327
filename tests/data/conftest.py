"""Small folders as users have them, made anew for each test."""

import json
from pathlib import Path

import numpy as np
import pytest
from layouts import write_image


@pytest.fixture
def noise_image():
    return lambda *size, seed=0: np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture
def prepared(tmp_path):
    """Writes a `dataset.json` over two real files; the arguments replace or, given None, remove keys."""

    def write(**changes: object) -> Path:
        for name in ("images/a.png", "labels/a.png"):
            write_image(tmp_path / "set" / name, np.zeros((4, 5), dtype=np.uint8))
        content: dict[str, object] = {
            "name": "tiny",
            "classes": ["background", "nucleus"],
            "label_kind": "instances",
            "mpp": 0.25,
            "training": [{"image": "images/a.png", "label": "labels/a.png", "group": "a"}],
        }
        content |= changes
        path = tmp_path / "set" / "dataset.json"
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))
        return path

    return write
