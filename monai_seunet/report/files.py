"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` only when the block ends well.

    An error in the block removes what was written and leaves an older file at `path` as it was.

    Args:
        path: the file to make; its folder is made too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")  # libraries read the format off the suffix
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def save_figure(figure: Figure, path: str | Path, dpi: int = 150) -> Path:
    """Draw a figure to a file; the suffix says the format (png, svg, pdf).

    Args:
        figure: made with the object interface, so that no display is needed.
        path: file to write.
        dpi: pixels per inch of bitmaps.
    """
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return Path(path)
