"""The folder in which a slide is worked on: whose it is, what it is made with, and how far it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

RESULT = "result.json"
WORK = ".work"


class WorkFolder:
    """What is kept of a slide that is not finished, beside its results.

    Invariant: what is found there was made from the same file by the same settings, or is refused.

    Args:
        output: folder of the slide's results.
        plan: everything that the results depend on, as plain values.
        job: which run of the command it is, where that matters.
    """

    def __init__(self, output: Path, plan: Mapping[str, Any], job: str = "") -> None:
        self.output = output
        self.job = job
        self.path = output / WORK
        self.plan = json.loads(json.dumps(plan))  # as it will be read

    @property
    def begun(self) -> bool:
        """Whether work is there to go on with."""
        return (self.path / "plan.json").exists()

    @property
    def begun_by_this_job(self) -> bool:
        """Whether the same run of a command, perhaps another process of it, has begun or finished it."""
        try:
            known = _read(self.path / "job.json") or _read(self.output / RESULT) or {}
        except InputError:  # a damaged file is nobody's
            return False
        return bool(self.job) and known.get("job") == self.job

    def finished(self) -> dict[str, Any] | None:
        """The result of a slide that is done, if it was made by this plan.

        Raises:
            InputError: where it was made by another one.
        """
        result = _read(self.output / RESULT)
        if result is not None:
            self._compare(result.get("plan", {}), self.output / RESULT)
        return result

    def open(self) -> None:
        """Make the folder, or go on in it.

        Raises:
            InputError: where what is there was made by another plan.
        """
        (self.path / "rows").mkdir(parents=True, exist_ok=True)
        (self.path / "blocks").mkdir(exist_ok=True)
        known = _read(self.path / "plan.json")
        if known is not None:
            self._compare(known, self.path)
        write_text(self.path / "job.json", json.dumps({"job": self.job}))
        write_text(self.path / "plan.json", json.dumps(self.plan, indent=1) + "\n")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Say that all is done, and remove what is no result."""
        content = {"plan": self.plan, "job": self.job, **result}
        write_text(self.output / RESULT, json.dumps(content, indent=1) + "\n")
        shutil.rmtree(self.path, ignore_errors=True)

    def clear(self) -> None:
        """Remove what was made, finished or not."""
        (self.output / RESULT).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def row(self, row: int) -> Path:
        """File of a row of windows."""
        return self.path / "rows" / f"{row:06d}"

    def block(self, index: int) -> Path:
        """File of the objects of a block."""
        return self.path / "blocks" / f"{index:06d}.npz"

    @property
    def strips(self) -> int:
        """How many strips of the maps are whole."""
        return int((_read(self.path / "strips.json") or {"whole": 0})["whole"])

    @strips.setter
    def strips(self, count: int) -> None:
        write_text(self.path / "strips.json", json.dumps({"whole": count}))

    def _compare(self, known: Mapping[str, Any], where: Path) -> None:
        before, now = _flat(known), _flat(self.plan)
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            raise InputError(
                f"{where}: made with {changed[0]} {before.get(changed[0])}, now it is {now[changed[0]]}; use the same "
                "options to go on, --overwrite to start again, or another output folder"
            )


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells a file from another one of its name: its size, and when it was changed."""
    status = path.stat()
    return {"path": str(path.resolve()), "bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values in mappings within mappings, under the names of all of them."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key} ") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
        return content
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}); remove it, or use --overwrite") from error
