"""Which files of the repository are the site: pages where they lie, what they link to, and the API of each folder.

A page keeps its place in the repository, so its links and pictures work there and in the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "monai_seunet"
LINK = re.compile(r"\]\(([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the entry `API` of the navigation with the folders of the package."""
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    next(entry for entry in reference if "API" in entry)["API"] = _navigation(PACKAGE)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the navigation, the pictures and other files that they link to, and the API of every folder."""
    pages = [ROOT / page for page in _pages(config.nav) if not page.startswith("api/")]
    linked = {(page.parent / target).resolve() for page in pages for target in LINK.findall(page.read_text("utf-8"))}
    others = sorted(path for path in linked if path.suffix != ".md" and path.is_file() and path.is_relative_to(ROOT))
    for path in pages + others:
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    for folder in _folders(PACKAGE):
        files.append(File.generated(config, _page(folder), content=_api(folder)))
    return files


def _pages(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [page for entry in entries for page in _pages(entry)]


def _folders(folder: Path) -> list[Path]:
    """The folder, and every package in it before those in that package."""
    return [folder, *(each for inner in _inner(folder) for each in _folders(inner))]


def _inner(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("*/__init__.py"))


def _page(folder: Path) -> str:
    return f"api/{folder.relative_to(ROOT).as_posix()}/index.md"


def _navigation(folder: Path) -> list[Any]:
    """The page of a folder, then those of the folders in it."""
    return [_page(folder), *({inner.name: _navigation(inner)} for inner in _inner(folder))]


def _api(folder: Path) -> str:
    """A page that shows what a folder's modules define; modules and names that begin with `_` are private."""
    name = ".".join(folder.relative_to(ROOT).parts)
    parts = [f"# {name}\n\n::: {name}\n    options: {{members: false}}\n"]
    parts += [f"## {module.stem}\n\n::: {name}.{module.stem}\n" for module in sorted(folder.glob("[!_]*.py"))]
    return "\n".join(parts)
