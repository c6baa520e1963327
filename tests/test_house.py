"""How the repository is divided: imports without circles, small files and folders, commands that start at once."""

from __future__ import annotations

import ast
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from repository import ROOT

PACKAGE = ROOT / "monai_seunet"
MOST_FILES, MOST_LINES = 12, 300
CODE = {".py", ".pyi", ".h", ".cpp", ".sh"}


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


# What a package gives lazily stands in its stub alone.
MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py*")) if path.suffix in (".py", ".pyi")}


def imported(module: str, path: Path) -> set[str]:
    """The modules of this package that one of them names in an import, wherever in the file it stands."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            found |= {f"{base}.{name.name}" if f"{base}.{name.name}" in MODULES else base for name in node.names}
    return found & MODULES.keys() - {module}


IMPORTS = {module: imported(module, path) for module, path in MODULES.items()}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def between_children(package: str) -> dict[str, set[str]]:
    """Which modules and folders of a package import which others of them."""
    graph: dict[str, set[str]] = {}
    children = {
        name: name.removeprefix(package + ".").partition(".")[0] for name in MODULES if name.startswith(package + ".")
    }
    for module, child in children.items():
        graph.setdefault(child, set()).update(
            {children[name] for name in IMPORTS[module] if name in children} - {child}
        )
    return graph


if __name__ == "__main__":
    print(circle(IMPORTS))
    for m, p in MODULES.items():
        if p.stem == "__init__" and circle(between_children(m)):
            g = between_children(m)
            print(m, circle(g))
            c = circle(g)
            for a in IMPORTS:
                for b in IMPORTS[a]:
                    if a.startswith(m + ".") and b.startswith(m + "."):
                        ca, cb = a[len(m) + 1 :].split(".")[0], b[len(m) + 1 :].split(".")[0]
                        if ca in c and cb in c and ca != cb:
                            print("   ", a, b)
