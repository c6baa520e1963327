"""Progress bars on a terminal, lines from time to time in a log, and messages of this package."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

PAUSE = 30.0  # seconds between two lines in a log
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} elapsed, {remaining} left{postfix}"


class LogLines:
    """A stream that writes the states of a bar as lines, at most one every `PAUSE` seconds, to standard error."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def write(self, text: str) -> None:
        """Write a state of the bar; the control characters between two states are left out."""
        line = text.replace("\x1b[A", "").strip()
        if line and time.monotonic() - self._last >= PAUSE:
            self._last = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Do nothing: every line is written at once."""


def progress_bar(iterable: Iterable[Any] | None = None, *, disable: bool = False, **options: Any) -> tqdm:
    """Return a `tqdm` bar; if standard error is no terminal, a line every half minute takes its place.

    Args:
        iterable: values to iterate over, or None for a bar that the caller updates.
        disable: whether to show neither a bar nor lines.
        options: arguments of `tqdm`, such as `desc` and `unit`.
    """
    if not disable and not bars_are_shown():
        log = {"file": LogLines(), "bar_format": LINE, "mininterval": 1.0, "leave": False}
        options = {"unit": "step"} | options | log
    return tqdm(iterable, disable=disable, **options)


def bars_are_shown() -> bool:
    """Return whether standard error is a terminal, for the bars of other libraries."""
    return sys.stderr is not None and sys.stderr.isatty()


def show_messages() -> None:
    """Show the messages of this package on standard error, and only the warnings of others.

    With the level of the root logger at INFO, torch would write statistics at the end of a process that was interrupted
    while it imports torch.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("monai_seunet").setLevel(logging.INFO)


def write_line(text: str, file: TextIO | None = None) -> None:
    """Write a line above open progress bars, at once also into a log.

    Args:
        text: line without its end.
        file: stream; None for standard output.
    """
    tqdm.write(text, file=file)
    (sys.stdout if file is None else file).flush()
