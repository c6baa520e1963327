"""The files that describe the package name one version and one licence, and users of the package get its types."""

import json
import re
import tomllib
from importlib import resources

import yaml
from repository import ROOT

import monai_seunet

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_file_names_the_version_of_the_package():
    metadata = json.loads((ROOT / "bundle/configs/metadata.json").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    named = {
        "pyproject.toml": PROJECT["project"]["version"],
        "metadata.json": metadata["version"],
        "metadata.json, required packages": metadata["required_packages_version"]["monai_seunet"],
        "CITATION.cff": citation["version"],
        "CHANGELOG.md": newest[1],
    }
    assert named == dict.fromkeys(named, monai_seunet.__version__)
    assert citation["license"] == PROJECT["project"]["license"]


def test_the_wheel_holds_the_marker_of_typed_packages():
    assert resources.files(monai_seunet).joinpath("py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["monai_seunet"]
