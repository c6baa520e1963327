"""Every extra that a message or a page shows is one of the package."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"(monai[-_]seunet)\[([a-z,]+)\]")  # in a text
RAISED = re.compile(r"""missing\([^)]*?, "([a-z]+)"\)""")  # by `utils.errors.missing`


def problems(text: str, extras: set[str]) -> list[str]:
    """Return the shown extras that do not exist or are written in another way."""
    shown = [(name, extra) for name, names in SHOWN.findall(text) for extra in names.split(",")]
    shown += [("monai-seunet", extra) for extra in RAISED.findall(text)]
    return [f"{name}[{extra}]" for name, extra in shown if name != "monai-seunet" or extra not in extras]


@pytest.fixture(scope="module")
def extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def test_shown_extras_exist(extras):
    files = [*ROOT.glob("*.md"), *ROOT.glob("bundle/docs/*.md"), *ROOT.glob("monai_seunet/**/*.py")]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    assert sum(len(SHOWN.findall(text)) + len(RAISED.findall(text)) for text in texts.values()) > 5
    assert not {file.name: found for file, text in texts.items() if (found := problems(text, extras))}


def test_wrong_extras_are_found(extras):
    text = 'pip install "monai_seunet[spatial]"; raise missing("a (b", "nothing"); pip install "monai-seunet[x,onnx]"'
    assert problems(text, extras) == ["monai_seunet[spatial]", "monai-seunet[x]", "monai-seunet[nothing]"]
