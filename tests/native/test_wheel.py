"""A wheel holds the bundle, so a new environment needs no repository."""

import email
import json
import re
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
    for name in ("pyproject.toml", "docs/package.md", "LICENSE", "MANIFEST.in"):
        (source / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source / name)
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
        (described,) = (file.read(name) for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        assert json.loads(file.read("monai_seunet/bundle/models/models.json")).keys() == trained_models().keys()
    assert {"LICENSE", "models/README.md", "models/model.pt", "configs/inference_wsi.json"} <= names
    assert {f"configs/weights/{name}.json" for name in trained_models()} <= names
    assert "models/plain_unet.pt" not in names
    metadata = email.message_from_bytes(described)
    assert metadata["Description-Content-Type"] == "text/markdown"
    page = metadata.get_payload(decode=True).decode()
    assert page.strip() == (ROOT / "docs" / "package.md").read_text(encoding="utf-8").strip()
    pages = re.findall(r"`((?:docs|models)/[\w.]+)`", page)
    assert len(pages) > 8 and {*pages} <= names, "the wheel lacks a page that its description names"


def unreachable(page: str) -> list[str]:
    """Links and pictures that lead to a file of the repository, and programs of the repository that are called."""
    links = [target for target in re.findall(r"\]\(\s*([^)\s]+)", page) if not target.startswith("https://")]
    called = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return links + [word for block in called for word in block.split() if word.startswith(("scripts/", "bundle/"))]


def test_the_page_of_the_package_needs_no_repository():
    assert unreachable((ROOT / "docs" / "package.md").read_text(encoding="utf-8")) == []
    of_repository = unreachable((ROOT / "README.md").read_text(encoding="utf-8"))
    assert {"docs/demo.png", "bundle/docs/slides.md", "scripts/demo.sh"} <= {*of_repository}, "they are found"
