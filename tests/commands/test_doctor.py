"""What `monai-seunet doctor` says."""

import pytest

from monai_seunet.cli import main
from monai_seunet.commands import doctor as command
from monai_seunet.native import library as native


def test_names_the_library_that_runs_and_checks_it(capsys):
    if native.library() is None:
        pytest.skip("no native library for this machine")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"native kernels: {native.library()._name}" in said and "torch 2." in said


def test_says_that_torch_runs_everything(capsys):
    with native.torch_form():
        assert main(["doctor"]) == 0
    assert "torch runs everything" in capsys.readouterr().out


def test_fails_where_the_kernels_are_wrong(capsys, monkeypatch):
    if native.library() is None:
        pytest.skip("no native library for this machine")
    monkeypatch.setattr(command, "kernel_error", lambda: 0.01)
    assert main(["doctor"]) == 1
    assert "TOO MUCH" in capsys.readouterr().out
