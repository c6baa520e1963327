"""A wheel holds the bundle, so a new environment needs no repository."""

import json
import shutil
import subprocess
import sys
import zipfile

import pytest
from repository import ROOT

from monai_seunet.config.models import trained_models


@pytest.mark.slow
def test_a_wheel_holds_configs_weights_and_licences(tmp_path):
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__", "lib", "eval")
    for name in ("monai_seunet", "bundle"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    (source / "build" / "lib" / "monai_seunet").mkdir(parents=True)
    (source / "build" / "lib" / "monai_seunet" / "removed.py").touch()  # of an earlier build
    program = (
        f"import sys; sys.path.insert(0, '{source}/monai_seunet/native'); import backend; backend.build_wheel('.')"
    )
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}  # no compiler: its build has tests of its own
    done = subprocess.run([sys.executable, "-c", program], cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not (source / "monai_seunet" / "bundle").exists() and not (source / "build").exists()
    (wheel,) = source.glob("*.whl")
    assert wheel.stat().st_size < 15e6
    with zipfile.ZipFile(wheel) as file:
        names = {name.removeprefix("monai_seunet/bundle/") for name in file.namelist() if "/bundle/" in name}
        assert "monai_seunet/removed.py" not in file.namelist()
        assert json.loads(file.read("monai_seunet/bundle/models/models.json")).keys() == trained_models().keys()
    assert {"LICENSE", "models/README.md", "models/model.pt", "configs/inference_wsi.json"} <= names
    assert {f"configs/weights/{name}.json" for name in trained_models()} <= names
    assert "models/plain_unet.pt" not in names
