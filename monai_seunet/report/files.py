"""Files of a report: figures, and plain values as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_seunet.drawing.table import Table
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, path: str | Path, dpi: int = 150, svg: bool = False) -> Path:
    """Draw a figure into a file; the suffix is the format (png, svg, pdf).

    Args:
        figure: made with the object interface, so no display is needed.
        path: file to write.
        dpi: pixels per inch of bitmaps.
        svg: whether a file with the suffix .svg is drawn, too.
    """
    for target in (Path(path), *([Path(path).with_suffix(".svg")] if svg else [])):
        with atomic_write(target) as temporary:
            figure.savefig(temporary, dpi=dpi)
    return Path(path)


def write_tables(tables: Mapping[str, Table], out: Path) -> list[Path]:
    """Write tables into a folder as Markdown and CSV, by file name; return the files."""
    texts = {f"{name}.md": table.to_markdown() for name, table in tables.items()}
    texts |= {f"{name}.csv": table.to_csv() for name, table in tables.items()}
    return [write_text(out / name, text) for name, text in texts.items()]


def read_values(path: str | Path) -> dict[str, Any]:
    """Return the plain values of a report; empty if the file contains something else.

    Raises:
        InputError: the file is missing or no JSON.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: not readable as JSON ({reason}); give the report.json of an evaluation") from error
    return values if isinstance(values, dict) else {}
