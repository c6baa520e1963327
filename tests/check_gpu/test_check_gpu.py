"""The check of a GPU: its small form on the CPU, and steps that fail, hang or lack a package."""

import importlib
import json
import os
import re
import subprocess
import sys
import time

import pytest
from repository import ROOT

FOLDER = ROOT / "scripts" / "check_gpu"


@pytest.fixture
def check(monkeypatch):
    """The program that runs the steps."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("run")


def step(check, tmp_path, text, limit=60.0):
    program = tmp_path / "step.py"
    program.write_text(f"from records import run_step\ndef step(records, options):\n    {text}\nrun_step(step)\n")
    return check.run_step("step", program, limit, "cpu", True, tmp_path)


@pytest.mark.slow
def test_the_small_form_runs_on_the_cpu(tmp_path):
    steps = ["machine", "exact_results", "one_slide"]
    words = [str(ROOT / "scripts" / "check_gpu.sh"), "--device", "cpu", "--output", str(tmp_path), "--steps", *steps]
    done = subprocess.run(words, env=os.environ | {"PYTHON": sys.executable}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["passed"] and report["sizes"] == "quick" and report["machine"]["device"] == "cpu"
    assert [row["step"] for row in report["steps"]] == steps
    page = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "the figures say nothing about the speed" in page and "## Failed checks" not in page
    for name in ("seunet_octaves: gradients in float64", "g_unet: symmetries of p4 in float64"):
        assert any(record.get("check") == name for record in report["steps"][1]["records"])
    assert re.search(r"\| seunet_octaves.*, file to results \| [\d.e+]+ \| s/mm² \|", page)


def test_a_step_that_finds_what_it_must_passes(check, tmp_path):
    result = step(check, tmp_path, "records.at_most('small', 1.0, 2.0); records.figure('speed', 3.0, 'm/s')")
    assert result.passed and result.line.startswith("passed step: 1 of 1 checks passed")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("records.at_most('small', 3.0, 2.0)", "0 of 1 checks passed"),
        ("records.at_most('small', float('nan'), 2.0)", "0 of 1 checks passed"),
        ("pass", "0 of 0 checks passed"),
        ("records.check('a', True, ''); raise OSError('no disk')", "1 of 1 checks passed in 0 s; OSError: no disk"),
        ("import no_such_package", "needs the package 'no_such_package'"),
    ],
)
def test_a_step_that_does_not_pass_says_why(check, tmp_path, text, told):
    result = step(check, tmp_path, text)
    assert (
        not result.passed
        and result.line.startswith("FAILED step")
        and told in re.sub(r"in \d+ s", "in 0 s", result.line)
    )


def test_a_step_that_hangs_is_stopped_and_keeps_what_it_found(check, tmp_path):
    start = time.monotonic()
    result = step(check, tmp_path, "records.check('a', True, ''); import time; time.sleep(600)", limit=3.0)
    assert not result.passed and "stopped after 3 seconds" in result.line and len(result.checks) == 1
    assert time.monotonic() - start < 60


def test_all_steps_end_within_ten_minutes(check):
    assert sum(check.STEPS.values()) <= check.TOTAL < 600
    assert all((FOLDER / f"{name}.py").is_file() for name in check.STEPS)
