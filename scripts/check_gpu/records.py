"""What a step of the check finds: checks that pass or fail, and figures. Each one is a line of JSON in a file.

A step that is stopped in mid-run leaves the lines that it has written.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

MISSING = "ModuleNotFoundError: No module named "


class Records:
    """Writes checks and figures of one step.

    Args:
        path: file that the lines are added to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, name: str, passed: bool, found: str) -> None:
        """Add a check: what must hold, whether it does, and what was found."""
        self._write({"check": name, "passed": bool(passed), "found": found})

    def at_most(self, name: str, value: float, bound: float) -> None:
        """Add a check that a value is not above its bound; it fails for a value that is no number."""
        self.check(name, value <= bound, f"{value:.2g}, at most {bound:.2g}")

    def figure(self, name: str, value: float, unit: str) -> None:
        """Add a figure."""
        self._write({"figure": name, "value": value, "unit": unit})

    def _write(self, record: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def reason(output: str) -> str:
    """Return why a program failed, by its output: the package that it lacks, its error, or else the last line."""
    lines = output.strip().splitlines() or ["it ended without a message"]
    missing = [line.split(MISSING)[1] for line in lines if MISSING in line]
    errors = [line for line in lines if "Error: " in line]
    return f"needs the package {missing[-1]}" if missing else (errors or lines)[-1]


def run_step(step: Callable[[Records, argparse.Namespace], None]) -> None:
    """Run a step as a program of its own, with the options that every step has."""
    parser = argparse.ArgumentParser(description=step.__doc__)
    parser.add_argument("--device", default="cpu", help="device that is checked")
    parser.add_argument("--quick", action="store_true", help="small sizes and few networks")
    parser.add_argument("--records", type=Path, required=True, help="file that checks and figures are added to")
    parser.add_argument("--work", type=Path, required=True, help="folder for files")
    options = parser.parse_args()
    step(Records(options.records), options)
