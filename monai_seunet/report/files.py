"""The files of a report: figures, and plain values as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Report = TypeVar("Report")


def save_figure(figure: Figure, path: str | Path, dpi: int = 150, svg: bool = False) -> Path:
    """Draw a figure to a file; the suffix says the format (png, svg, pdf).

    Args:
        figure: made with the object interface, so that no display is needed.
        path: file to write.
        dpi: pixels per inch of bitmaps.
        svg: also draw it to a file of the same name that ends in .svg.
    """
    for target in (Path(path), *([Path(path).with_suffix(".svg")] if svg else [])):
        with atomic_write(target) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return Path(path)


def write_report(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a report of plain values as JSON."""
    return write_text(path, json.dumps(content, indent=1) + "\n")


def read_report(path: str | Path, form: str, kind: str, build: Callable[[Mapping[str, Any]], Report]) -> Report:
    """Read a report from JSON.

    Args:
        path: `report.json` of an evaluation.
        form: its `format`.
        kind: what it is called in errors.
        build: makes the report from the plain values.

    Raises:
        InputError: where the file is missing, damaged or another report.
    """
    if report_format(path) != form:
        raise InputError(f"{path}: not a {kind}; give the report.json of an evaluation")
    try:
        return build(json.loads(Path(path).read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a damaged {kind} ({error!r}); repeat the evaluation") from error


def report_format(path: str | Path) -> str:
    """The `format` of a report; empty where the file says none.

    Raises:
        InputError: where the file is missing or no JSON.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: not readable as JSON ({reason}); give the report.json of an evaluation") from error
    return str(values.get("format", "")) if isinstance(values, dict) else ""
