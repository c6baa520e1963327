"""The examples of docstrings run and give what they show."""

import doctest
import importlib

import pytest
from repository import ROOT

PACKAGE = ROOT / "monai_seunet"
LABEL_APP = PACKAGE / "label_app"  # needs MONAI Label, which has an environment of its own
EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if LABEL_APP not in path.parents and ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_what_they_show(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0 and result.failed == 0


@pytest.mark.parametrize(
    "name",
    [
        "fusion.fuse",
        "losses.ScaleGroupLoss",
        "metrics.confusion_matrix",
        "networks.PlainUNet",
        "networks.SEUNet",
        "reading.read_image",
        "testing.assert_equivariant",
        "transforms.RescaleToMpp",
    ],
)
def test_what_users_begin_with_has_an_example(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert ">>> " in getattr(importlib.import_module(f"monai_seunet.{module}"), attribute).__doc__


def test_a_wrong_example_is_found() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner().run(test, out=lambda _: None) == (1, 1)
