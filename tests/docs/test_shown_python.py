"""The Python of the README and of the page of the package runs as it stands there."""

import json
import re
from pathlib import Path

import torch
from repository import ROOT


def shown(page: str) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


FIRST, SECOND = shown("README.md")


def test_five_lines_find_the_nuclei_of_an_image(tmp_path, monkeypatch):
    assert len([line for line in FIRST.splitlines() if line]) == 5
    monkeypatch.chdir(tmp_path)  # no folder of the repository is needed
    names = {}
    exec(compile(FIRST, "README.md", "exec"), names)
    assert 200 <= len(names["nuclei"]) <= 300
    assert len(json.loads((tmp_path / "nuclei.geojson").read_text())["features"]) == len(names["nuclei"])


def test_networks_are_made_as_shown():
    names = {}
    exec(compile(SECOND, "README.md", "exec"), names)
    net, x = names["net"].eval(), torch.rand(1, 3, 128, 160)
    with torch.inference_mode():
        logits = net(x)
        assert logits.shape == (1, 6, 2, 128, 160)
        torch.testing.assert_close(net.subset([1, 2])(x), logits[:, 1:3])
        torch.testing.assert_close(net.folded()(x), logits, atol=1e-4, rtol=1e-4)


def test_the_page_of_the_package_shows_the_same_and_finds_the_documentation(capsys):
    first, second = shown("docs/package.md")
    assert first == FIRST
    exec(compile(second, "package.md", "exec"), {})
    assert (Path(capsys.readouterr().out.strip()) / "docs" / "slides.md").is_file()
