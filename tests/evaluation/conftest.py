"""A data set of blobs, so an evaluation runs in a second, and one tracking store."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.entities import Run
from monai.bundle import ConfigParser
from PIL import Image
from repository import CONFIGS
from scipy.ndimage import gaussian_filter

from monai_seunet.utils.errors import InputError, find_input_error


@pytest.fixture(scope="session")
def client(empty_store, tmp_path_factory) -> mlflow.MlflowClient:
    """One tracking store for all tests; each has its own experiment."""
    return mlflow.MlflowClient(f"sqlite:///{shutil.copy(empty_store, tmp_path_factory.mktemp('tracking'))}")


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
    content = {"name": "blobs", "classes": ["background", "nucleus"], "label_kind": "classes"}
    (folder / "dataset.json").write_text(json.dumps({**content, "training": items[:2], "validation": items[2:]}))
    return folder


@pytest.fixture
def others(blobs: Path, tmp_path: Path) -> Path:
    """Another data set: one validation image, that the other one has for training."""
    folder = shutil.copytree(blobs, tmp_path / "others")
    content = json.loads((folder / "dataset.json").read_text())
    sections = {"training": content["validation"], "validation": content["training"][:1]}
    (folder / "dataset.json").write_text(json.dumps({**content, **sections, "name": "others (2)"}))
    return folder


@pytest.fixture
def run_overlay(blobs, tmp_path, monkeypatch, client):
    """Run an overlay of train.json with some ids changed; returns the report folder.

    The weights are saved once, or anew where they are changed.
    """
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(overlay: str, network: str, change: Callable[[torch.nn.Module], None] | None = None, **changes) -> Path:
        parser = ConfigParser()
        parser.read_config([str(CONFIGS / f"{name}.json") for name in ("train", f"networks/{network}", overlay)])
        settings = {
            "dataset_dir": str(blobs),
            "ckpt_dir": str(tmp_path / "models"),
            "output_dir": str(tmp_path / "eval"),
            "tracking_uri": client.tracking_uri,
            "experiment": tmp_path.name,
            "device": "$torch.device('cpu')",
            "stain": False,
            "width": 10,
        }
        parser.update(settings | changes)
        weights = tmp_path / "models" / "model.pt"
        if change is not None or not weights.exists():
            weights.parent.mkdir(exist_ok=True)
            torch.manual_seed(0)
            untrained = parser.get_parsed_content("network_def")
            if change is not None:
                change(untrained)
            torch.save(untrained.state_dict(), weights)
        parser.get_parsed_content("initialize")
        parser.get_parsed_content("run")
        return Path(parser.get_parsed_content("report_dir"))

    yield run
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def evaluate(run_overlay):
    """Run evaluate.json with some ids changed; returns the report folder."""

    def run(network: str = "seunet", overlay: str = "evaluate", **changes) -> Path:
        scales = {"val_window": 64, "minimum_scale": 0.5, "maximum_scale": 2.0, "steps_per_octave": 1}
        return run_overlay(overlay, network, **scales | {"equivariance_crop": 64} | changes)

    return run


@pytest.fixture
def mistake(evaluate) -> Callable[..., str]:
    """What the user has to correct, in one line, of an evaluation that is refused."""

    def said(**changes) -> str:
        with pytest.raises(Exception, match=r".") as caught:
            evaluate(**changes)
        cause = find_input_error(caught.value)
        assert isinstance(cause, InputError) and "\n" not in str(cause)
        return str(cause)

    return said


@pytest.fixture
def runs(client, tmp_path) -> Callable[[], list[Run]]:
    """The runs of the experiment of this test."""
    return lambda: client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id])
