"""The documentation site is built without a warning, holds the whole API, and asks no other server for anything."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

PACKAGE = ROOT / "monai_seunet"
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bundle/*/*.md")]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", folder]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_of_the_repository_is_a_page_of_the_site(site: Path) -> None:
    for page in PAGES:
        name = "index" if page.stem == "README" else page.stem
        html = (site / page.relative_to(ROOT)).with_name(f"{name}.html").read_text(encoding="utf-8")
        title = re.search(r"^# (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert title is not None
        shown = re.search(r"<h1.*?>(.*?)<a", html, re.DOTALL)
        assert shown is not None and shown[1] == title[1].replace("&", "&amp;"), page


def test_every_public_class_and_function_is_shown(site: Path) -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in (site / "api").rglob("index.html")}
    public = 0
    for file in PACKAGE.rglob("*.py"):
        if file.name.startswith("_"):
            continue
        html = pages[site / "api" / file.parent.relative_to(ROOT) / "index.html"]
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                assert f'id="{module}.{node.name}"' in html, f"{module}.{node.name}"
                public += 1
    assert public > 500


def test_arguments_are_tables_remarks_are_paragraphs_and_formulas_are_math(site: Path) -> None:
    html = (site / "api/monai_seunet/networks/nets/index.html").read_text(encoding="utf-8")
    seunet = re.split("<h[23]", html.split('id="monai_seunet.networks.nets.seunet.SEUNet"')[1])[0]
    (row,) = re.findall(r"<td>\s*<code>num_octaves</code>\s*</td>(.*?)</tr>", seunet, re.DOTALL)
    assert "octaves of the image" in row and "<code>1</code>" in row
    assert "<p><strong>Limits:</strong> the zoom" in seunet
    losses = (site / "api/monai_seunet/losses/index.html").read_text(encoding="utf-8")
    assert re.search(r"<p><span><math[^>]*>(?:<\w+[^>]*>)*L<.*</math></span> with", losses) and r"\sum" not in losses


def test_nothing_comes_from_other_servers(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe)\s[^>]*src="?[^"> ]*//[^>]*>|<link\s[^>]*//[^>]*>|url\(["']?\w*:?//"""
    )
    for file in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert loaded.findall(file.read_text(encoding="utf-8")) == [], file
