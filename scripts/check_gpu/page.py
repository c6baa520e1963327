"""The report of the check: a page and the same facts as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple


class Result(NamedTuple):
    """How a step ended.

    Attributes:
        step: name of the step.
        seconds: time that it took.
        problem: why it did not run to its end; empty if it did.
        records: its checks and figures.
    """

    step: str
    seconds: float
    problem: str
    records: list[dict[str, Any]]

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Checks of the step."""
        return [record for record in self.records if "check" in record]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Checks that failed."""
        return [check for check in self.checks if not check["passed"]]

    @property
    def passed(self) -> bool:
        """Whether the step ran to its end, checked something, and no check failed."""
        return not self.problem and bool(self.checks) and not self.failed

    @property
    def line(self) -> str:
        """How the step ended, in one line."""
        count = f"{len(self.checks) - len(self.failed)} of {len(self.checks)} checks passed"
        end = f"; {self.problem}" if self.problem else ""
        return f"{'passed' if self.passed else 'FAILED'} {self.step}: {count} in {self.seconds:.0f} s{end}"


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records of a step; a line that was cut off by its end is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def read_facts(work: Path, device: str) -> dict[str, str]:
    """Return what the first step found about the machine."""
    path = work / "machine.json"
    if not path.is_file():
        return {"device": device, "missing packages": "unknown"}
    facts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def write_report(folder: Path, results: list[Result], device: str, quick: bool, work: Path) -> None:
    """Write report.md and report.json."""
    facts = read_facts(work, device)
    content = {
        "machine": facts,
        "sizes": "quick" if quick else "full",
        "passed": all(result.passed for result in results),
        "steps": [result._asdict() | {"passed": result.passed} for result in results],
    }
    (folder / "report.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(page(facts, results, quick), encoding="utf-8")


def page(facts: dict[str, str], results: list[Result], quick: bool) -> str:
    """Return the page: the machine, the steps, what failed, and the figures."""
    sizes = "Small sizes: the figures say nothing about the speed of the machine." if quick else "Full sizes."
    lines = [f"# Check on {facts.get('GPU', facts['device'])}", "", sizes, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in facts.items()]
    lines += ["", "| step | result | checks passed | seconds | |", "|---|---|---|---|---|"]
    for result in results:
        count = f"{len(result.checks) - len(result.failed)} of {len(result.checks)}"
        ended = "passed" if result.passed else "**failed**"
        lines.append(f"| {result.step} | {ended} | {count} | {result.seconds:.0f} | {_cell(result.problem)} |")
    failed = [(result.step, check) for result in results for check in result.failed]
    if failed:
        lines += ["", "## Failed checks", "", "| step | check | found |", "|---|---|---|"]
        lines += [f"| {step} | {_cell(check['check'])} | {_cell(check['found'])} |" for step, check in failed]
    for result in results:
        figures = [record for record in result.records if "figure" in record]
        if figures:
            lines += ["", f"## Figures of {result.step}", "", "| | value | |", "|---|---|---|"]
            lines += [f"| {_cell(figure['figure'])} | {figure['value']:.3g} | {figure['unit']} |" for figure in figures]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
