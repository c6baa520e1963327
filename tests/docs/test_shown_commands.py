"""The commands that the pages show are understood, and the options that they name exist."""

import importlib.util
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import monai.bundle
import pytest
from repository import ROOT

from monai_seunet.cli import build_parser
from monai_seunet.commands.segment import IDS
from monai_seunet.config.bundle_options import check_command_line

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bundle/*/*.md")]
PLACES = ("monai_seunet/**/*.py", "scripts/**/*.py", "scripts/**/*.sh")
SOURCES = [path for place in PLACES for path in ROOT.glob(place)]
OF_MONAI = ("run", "verify_metadata", "verify_net_in_out", "ckpt_export", "onnx_export")
OTHER_PROGRAMS = {"bioimageio", "pip", "curl", "dask", "mkdocs", "mlflow", "source"}
OPTIONS_ELSEWHERE = {"image-ending", "mask-ending"}  # of `prepare folder`, which makes the names
OPTIONS_ELSEWHERE |= {"coordinate-transform"}  # of Xenium Ranger
OPTIONS_ELSEWHERE |= {*"build-arg gpus nv".split()}  # of Docker and Apptainer
OPTIONS_ELSEWHERE |= {*"allowed-hosts app conf help nproc_per_node ssl-certfile ssl-keyfile studies".split()}


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command in the blocks of a page, without the variables before it."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words:
                yield words


def bundle_actions(words: list[str]) -> list[str] | None:
    """What follows `-m monai.bundle`."""
    return words[words.index("monai.bundle") + 1 :] if "monai.bundle" in words else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_are_understood(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for words in commands(page):
        action = bundle_actions(words)
        if words[0] == "monai-seunet":
            assert build_parser().parse_args(words[1:]).run, words
        elif action and action[0] == "run":
            assert "--config_file" in action, words
            check_command_line(["/monai/bundle/__main__.py", *action])
        elif action:
            assert action[0] in OF_MONAI, words
            taken = inspect.signature(getattr(monai.bundle, action[0])).parameters
            assert {word[2:] for word in action if word.startswith("--")} <= set(taken), words
        elif words[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(words[2]), words
        elif words[0] == "python" or words[0].startswith("scripts/"):
            script = Path(words[words[0] == "python"])
            assert script.is_file(), words
            options = [word for word in words if word.startswith("--") and script.suffix == ".py"]
            assert all(f'"{option}"' in script.read_text(encoding="utf-8") for option in options), words
        elif words[0] in ("docker", "apptainer"):
            assert all(Path(word).is_file() for word in words if word.startswith("scripts/")), words
            image = next((n for n, word in enumerate(words) if word in ("monai-seunet", "monai-seunet.sif")), None)
            if words[1] == "run" and image is not None:
                assert build_parser().parse_args(words[image + 1 :]).run, words
        else:
            assert words[0] in OTHER_PROGRAMS, words


def test_commands_of_every_kind_are_found() -> None:
    shown = [words for page in PAGES for words in commands(page)]
    assert sum(words[0] == "monai-seunet" for words in shown) > 20
    assert sum((bundle_actions(words) or [""])[0] == "run" for words in shown) > 8


def test_options_in_the_text_exist() -> None:
    sources = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    known = {*re.findall(r"--([a-z][\w-]*)", sources), *OPTIONS_ELSEWHERE}
    for action in OF_MONAI:
        known |= set(inspect.signature(getattr(monai.bundle, action)).parameters)
    for file in ROOT.glob("bundle/configs/**/*.json"):
        config = json.loads(file.read_text(encoding="utf-8"))
        known |= {*config, *(name for group in config.get("_desc_", {}).values() for name in group)}
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        unknown = set(re.findall(r"(?<![\w-])--([a-z][\w#-]*)", text)) - known
        assert unknown == set(), page


def test_the_page_of_slides_names_the_options_of_segment() -> None:
    page = (ROOT / "bundle/docs/slides.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `--([\w-]+)`(?:, `--[\w-]+`)? \| `(\w+)`", page, re.MULTILINE))
    shown |= dict(re.findall(r"^\| `--[\w-]+`, `--([\w-]+)` \| `\w+`, `(\w+)`", page, re.MULTILINE))
    assert shown == {name.replace("_", "-"): name for name in IDS}
