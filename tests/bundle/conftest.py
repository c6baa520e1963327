"""A bundle on six small synthetic images, so a training takes seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow
from repository import CONFIGS, ROOT


@pytest.fixture
def settings(small_training: dict[str, Any], synthetic: Path, empty_store: Path, tmp_path: Path) -> dict[str, Any]:
    """What a user would write on the command line for a small training in `tmp_path`."""
    (tmp_path / "eval").mkdir()
    shutil.copy(empty_store, tmp_path / "eval")
    folders = {"dataset_dir": synthetic, "ckpt_dir": tmp_path / "models", "output_dir": tmp_path / "eval"}
    return {**small_training, "epochs": 3, "threads": 1, **{name: str(path) for name, path in folders.items()}}


@pytest.fixture
def workflow(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., ConfigWorkflow]:
    """Make the training workflow of the bundle, with overlays and changed ids; one octave where none names a network.

    The images are too small for more.
    """
    monkeypatch.chdir(ROOT)

    def make(*overlays: str, **changes: Any) -> ConfigWorkflow:
        named = any(name.startswith("networks/") for name in overlays)
        network = () if named else ("networks/seunet_geometric",)
        files = [str(CONFIGS / f"{name}.json") for name in ("train", *network, *overlays)]
        given = {**settings, "device": "$torch.device('cpu')", **changes}
        return ConfigWorkflow(files, workflow_type="train", logging_file=False, **given)

    return make
