"""Progress bars that are shown only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm


def progress_bar(iterable: Iterable[Any] | None = None, *, disable: bool = False, **options: Any) -> tqdm:
    """Return a `tqdm` bar that is shown only if standard error is a terminal.

    Args:
        iterable: values to iterate over, or None for a bar that the caller updates.
        disable: whether to hide the bar on a terminal, too.
        options: arguments of `tqdm`, such as `desc` and `unit`.
    """
    return tqdm(iterable, disable=disable or None, **options)


def bars_are_shown() -> bool:
    """Return whether standard error is a terminal, for the bars of other libraries."""
    return sys.stderr is not None and sys.stderr.isatty()


def write_line(text: str, file: TextIO | None = None) -> None:
    """Write a line above open progress bars; `file` is a stream, or None for standard output."""
    tqdm.write(text, file=file)
