"""Tests of the project whose tensors may lie on any device, with the checked device as torch's default."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from records import Records, reason, run_step

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("tests/config/test_devices.py", "tests/test_fusion.py")
TESTS = (*QUICK, "tests/losses", "tests/networks/nets/test_every_network.py")


def device_tests(records: Records, options: argparse.Namespace) -> None:
    """Run the tests by pytest, and write the name and the error of each one that fails."""
    report = options.work / "tests.xml"
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
    words += QUICK if options.quick else TESTS
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"TEST_DEVICE": options.device}, capture_output=True, text=True
    )
    if not report.is_file():
        records.check("the tests run", False, reason(done.stdout + done.stderr))
        return
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    for case in failed:
        problem = next(part for part in case if part.tag in ("failure", "error"))
        records.check(f"{case.get('classname')}.{case.get('name')}", False, (problem.get("message") or "")[:300])
    count = len(cases) - len(failed) - skipped
    told = f"{count} passed, {len(failed)} failed, {skipped} skipped"
    records.check("tests with the device as torch's default", count > 0 and not failed, told)


if __name__ == "__main__":
    run_step(device_tests)
