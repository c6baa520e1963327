"""A data set of blobs, so that an evaluation runs in a second, and one tracking store."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="session")
def client(tmp_path_factory) -> mlflow.MlflowClient:
    """One tracking store for all tests, since making its tables takes seconds; each test has its own experiment."""
    return mlflow.MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlruns.db'}")


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    """A prepared data set: two training and two validation images, 64 x 48 pixels, dark where the label is 1."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "blobs"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    items = []
    for name in "abcd":
        field = gaussian_filter(rng.standard_normal((64, 48)), 4)
        label = (field > np.quantile(field, 0.7)).astype(np.uint8)
        image = np.clip(220 - 120 * label[..., None] + 10 * rng.standard_normal((64, 48, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        Image.fromarray(label).save(folder / "labels" / f"{name}.png")
        items.append({"image": f"images/{name}.png", "label": f"labels/{name}.png"})
    content = {
        "name": "blobs",
        "classes": ["background", "nucleus"],
        "label_kind": "classes",
        "training": items[:2],
        "validation": items[2:],
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def others(blobs: Path, tmp_path: Path) -> Path:
    """Another data set: one validation image, that the other one has for training."""
    folder = shutil.copytree(blobs, tmp_path / "others")
    content = json.loads((folder / "dataset.json").read_text())
    sections = {"training": content["validation"], "validation": content["training"][:1]}
    (folder / "dataset.json").write_text(json.dumps({**content, **sections, "name": "others (2)"}))
    return folder
