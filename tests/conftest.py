"""Shared fixtures: the folder of real images, one thread, fixed seeds."""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from data_sets import synthetic_set
from repository import CONFIGS, ROOT

os.environ.pop("MLFLOW_TRACKING_URI", None)  # of the user's own store

# What needs an environment of its own: the annotation server (scripts/test_label.sh), other programs (test_clients.sh).
_NEEDS = {"label_server": "monailabel", "clients": "lazyslide"}
collect_ignore = [folder for folder, package in _NEEDS.items() if importlib.util.find_spec(package) is None]
DEFAULT_DATA = ROOT.parent / "shared" / "data"
DEVICE = os.environ.get("TEST_DEVICE")  # torch's default device in tests that run on any, see scripts/check_gpu
if DEVICE:
    torch.backends.cudnn.allow_tf32 = False  # bounds are those of float32


def pytest_report_header() -> str:
    return f"real images: {_data_dir() or 'none (set SEUNET_DATA); tests that need them are skipped'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so no process waits for another one at the end."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("xdist_group", "slow")])


def _data_dir() -> Path | None:
    path = Path(os.environ.get("SEUNET_DATA") or DEFAULT_DATA)
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images; skips the test where it is not there."""
    path = _data_dir()
    if path is None:
        pytest.skip("no real images: SEUNET_DATA is not set")
    return path


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared data set: six images of 128 x 128 pixels, two of them for validation."""
    return synthetic_set(tmp_path_factory.mktemp("data") / "synthetic", images=6, pixels=128)


@pytest.fixture(scope="session")
def small_training() -> dict[str, object]:
    """Ids of train.json for a training of seconds on those images."""
    sizes = {"width": 5, "tile_size": 64, "tile_stride": 64, "crop_size": 48, "batch_size": 4}
    return {**sizes, "stain": False, "epochs": 2, "val_interval": 2}


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow, to be copied: laying out a new one takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlruns.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of the bundle's configs."""
    return CONFIGS


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[int, str], None]:
    """Check that a command ended with what the user has to correct, in one line."""

    def check(code: int, message: str) -> None:
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert code == 2 and len(told) == 1 and message in told[0], told

    return check


@pytest.fixture(autouse=True)
def global_state() -> Iterator[None]:
    """Every test begins with one seed, and what it sets for the whole process is set back."""
    torch.set_default_device(DEVICE)
    torch.manual_seed(0)
    threads, hook = torch.get_num_threads(), sys.excepthook
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    sys.excepthook = hook  # the bundle replaces it


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
