"""An experiment of two small networks on synthetic images, so a training takes seconds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_sets import change_set, synthetic_set
from experiment_runs import command

from monai_seunet.cli import main

SCALES = {"minimum_scale": 0.5, "maximum_scale": 2, "steps_per_octave": 1, "panel_field": 96}


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another prepared data set, with a name of its own: three smaller images, one of them for validation."""
    folder = synthetic_set(tmp_path_factory.mktemp("data") / "elsewhere", images=3, pixels=96)
    change_set(folder, name="else where (2)")
    return folder


@pytest.fixture(scope="session")
def on_both(elsewhere: Path) -> dict[str, Any]:
    """Evaluations of every training on its own data set and on the other one."""
    other = {**SCALES, "dataset_dir": str(elsewhere), "field": 64, "equivariance": False}
    return {"evaluate": SCALES, "evaluate@elsewhere": other}


@pytest.fixture(scope="session")
def content(small_training: dict[str, Any], synthetic: Path, on_both: dict[str, Any]) -> dict[str, Any]:
    """What the file of the experiment holds; its trainings are long enough to find some nuclei."""
    longer = {"epochs": 8, "val_interval": 8, "average_momentum": 1}
    return {
        "title": "Two networks",
        "about": "On synthetic images.",
        "options": {**small_training, **longer, "dataset_dir": str(synthetic)},
        "evaluations": {"evaluate": SCALES},
        "trainings": {
            "SEUNet-geometric": {
                "overlays": ["networks/seunet_geometric"],
                "options": {"network_def#shared_norm": False},
                "seeds": [0, 1],
            },
            "PlainUNet": {
                "overlays": ["networks/plain_unet"],
                "evaluations": {"evaluate_rotation": {}, "evaluate@elsewhere": on_both["evaluate@elsewhere"]},
                "certificate": {"images": 1, "crop": 64},
            },
        },
        "claims": [
            {"better": "SEUNet-geometric", "than": "PlainUNet", "points": -100},
            {"method": "PlainUNet", "range": 0},
        ],
    }


@pytest.fixture
def write_experiment(tmp_path: Path, content: dict[str, Any]) -> Callable[..., Path]:
    """Write the file of the experiment, with other keys where they are given."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "two.json"
        path.write_text(json.dumps({**content, **changes}))
        return path

    return write


@pytest.fixture
def run_experiment(empty_store: Path) -> Callable[..., int]:
    """Run the file of an experiment by the command line, on a store that is laid out; returns the exit code."""

    def run(file: Path, output: Path, *more: str) -> int:
        output.mkdir(exist_ok=True)
        if not (output / "mlruns.db").exists():
            shutil.copy(empty_store, output)
        return main(command(file, output, *more))

    return run


@pytest.fixture(scope="session")
def done(content: dict[str, Any], empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The output of the whole experiment, which tests change, and a copy of it."""
    folder = tmp_path_factory.mktemp("done")
    output, kept = folder / "out", folder / "kept"
    output.mkdir()
    (output / "two.json").write_text(json.dumps(content))
    shutil.copy(empty_store, output)
    assert main(command(output / "two.json", output, "--processes", "2")) == 0
    return output, shutil.copytree(output, kept)


@pytest.fixture
def output(done: tuple[Path, Path]) -> Path:
    """The output of the whole experiment, as it was: at the same place, which its files name."""
    output, kept = done
    for path in output.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    return shutil.copytree(kept, output, dirs_exist_ok=True)  # writes into the store that MLflow holds open
