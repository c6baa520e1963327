"""Work folder of a slide: its options, its job and its progress."""

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


class OtherPlanError(InputError):
    """Error of a folder with results of another plan, for example of another model."""


class WorkFolder:
    """Intermediate files of a slide, in a folder beside its results.

    Invariant: files of another slide or other settings are refused.

    Args:
        output: folder of the slide's results.
        plan: plain values that the results depend on.
        job: id of the run of the command; empty for none.
        model: name of the model, for messages.
    """

    def __init__(self, output: Path, plan: Mapping[str, Any], job: str = "", model: str = "") -> None:
        self.output = output
        self.job = job
        self.model = model
        self.path = output / WORK
        self.plan = json.loads(json.dumps(plan))  # tuples become lists, as in the file

    @property
    def begun(self) -> bool:
        """True if an earlier run can be resumed."""
        return (self.path / "plan.json").exists()

    @property
    def begun_by_this_job(self) -> bool:
        """True if this run of the command, perhaps in another process, has begun or finished the slide."""
        try:
            owner = _read(self.path / "job.json") or _read(self.output / RESULT) or {}
        except InputError:  # a damaged file names no job
            return False
        return bool(self.job) and owner.get("job") == self.job

    def finished(self) -> dict[str, Any] | None:
        """Return the result of a finished slide, else None.

        Raises:
            OtherPlanError: the result was made with another plan.
            InputError: the file is damaged.
        """
        result = _read(self.output / RESULT)
        if result is not None:
            self._compare(result.get("plan", {}), self.output / RESULT, result.get("model", ""))
        return result

    def open(self) -> None:
        """Create the folder, or resume in it.

        Raises:
            OtherPlanError: the folder was made with another plan.
        """
        (self.path / "rows").mkdir(parents=True, exist_ok=True)
        (self.path / "blocks").mkdir(exist_ok=True)
        self._compare_begun()
        write_text(self.path / "job.json", json.dumps({"job": self.job, "model": self.model}))
        write_text(self.path / "plan.json", json.dumps(self.plan, indent=1) + "\n")

    def check(self) -> None:
        """Compare the plan, or the part of it that is known, with that of finished or begun results.

        Raises:
            OtherPlanError: the results were made with another plan.
            InputError: a file is damaged.
        """
        self.finished()
        self._compare_begun()

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the result, and remove the work folder."""
        content = {"plan": self.plan, "job": self.job, **result}
        write_text(self.output / RESULT, json.dumps(content, indent=1) + "\n")
        shutil.rmtree(self.path, ignore_errors=True)

    def clear(self) -> None:
        """Remove the result and the work folder."""
        (self.output / RESULT).unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def row(self, row: int) -> Path:
        """Return the file of a row of windows."""
        return self.path / "rows" / f"{row:06d}"

    def block(self, index: int) -> Path:
        """Return the file of the objects of a block."""
        return self.path / "blocks" / f"{index:06d}.npz"

    @property
    def density(self) -> Path:
        """Return the array of the density of haematoxylin."""
        return self.path / "density.zarr"

    @property
    def strips(self) -> int:
        """Number of complete strips of the maps."""
        return int((_read(self.path / "strips.json") or {"whole": 0})["whole"])

    @strips.setter
    def strips(self, count: int) -> None:
        write_text(self.path / "strips.json", json.dumps({"whole": count}))

    def _compare_begun(self) -> None:
        earlier = _read(self.path / "plan.json")
        if earlier is not None:
            self._compare(earlier, self.path, (_read(self.path / "job.json") or {}).get("model", ""))

    def _compare(self, earlier: Mapping[str, Any], where: Path, model: str) -> None:
        before, now = _flat(earlier), _flat(self.plan)
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            key = changed[0]
            difference = f"{key} {before.get(key)}, now it is {now[key]}"
            if key == "weights":
                old, new = (
                    f"{name or values.get('network')} (weights {str(values.get(key))[:12]})"
                    for name, values in ((model, before), (self.model, now))
                )
                difference = f"model {old}, now it is {new}"
            raise OtherPlanError(
                f"{where}: made with {difference}; use the same options to go on, --overwrite to start again, or "
                "another output folder"
            )


def fingerprint(path: Path) -> dict[str, Any]:
    """Return path, size and time of the last change of a file, which identify its content."""
    status = path.stat()
    return {"path": str(path.resolve()), "bytes": status.st_size, "changed_ns": status.st_mtime_ns}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings; a name is the names of all levels."""
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
