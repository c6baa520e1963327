"""Progress bars on a terminal, and nothing of them in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm


def progress_bar(iterable: Iterable[Any] | None = None, *, disable: bool = False, **options: Any) -> tqdm:
    """A bar of `tqdm` on standard error, silent where that is no terminal: a file would hold every state of the bar.

    Args:
        iterable: what is gone through; None for a bar that the caller moves.
        disable: show no bar on a terminal either.
        options: of `tqdm`, as `desc` and `unit`.
    """
    return tqdm(iterable, disable=disable or None, **options)


def bars_are_shown() -> bool:
    """Whether standard error is a terminal, for libraries that have a switch for their bars."""
    return sys.stderr is not None and sys.stderr.isatty()


def write_line(text: str, file: TextIO | None = None) -> None:
    """Write a line above the bars that are open.

    Args:
        text: without the end of the line.
        file: None for standard output.
    """
    tqdm.write(text, file=file)
