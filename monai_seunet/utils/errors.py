"""Errors that a user can act on, shown as one line instead of a stack trace."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from monai_seunet.utils.progress import write_line

_IN_WORKER = re.compile(r"^monai_seunet\.utils\.errors\.InputError: (.*)$", re.MULTILINE)


class InputError(ValueError):
    """A mistake in what the user gave: names the file or key, what was got and what to do.

    Raise it for data, options and checkpoints that cannot be used. Programming errors keep Python's own types.
    """


def make_folder(path: str | Path) -> Path:
    """Make a folder for results, if it is not there.

    Raises:
        InputError: where that is not possible, or nothing can be written into it.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"{path}: results cannot be written there ({error.strerror}); give another folder") from error
    return path


def find_input_error(error: BaseException | None) -> InputError | None:
    """Return the `InputError` that caused `error`, or None.

    MONAI wraps what a component or a transform raises, so that the chain of causes has to be followed. From a worker
    process of a data loader the chain arrives as text.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        told = _IN_WORKER.search(str(error))
        if told:
            return InputError(told[1])
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def show_input_errors_in_one_line() -> None:
    """Let the interpreter end with one line and status 1 where an `InputError` was the cause.

    Every other error keeps its stack trace; `SEUNET_DEBUG=1` keeps it for all. The bundle's configs call this once.
    """
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        cause = find_input_error(error)
        if cause is None or os.environ.get("SEUNET_DEBUG"):
            previous(kind, error, trace)
            return
        write_line(f"error: {cause}", file=sys.stderr)  # on a line of its own, where progress bars are open, too
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # At a normal exit a rank would wait for the others, and threads that still load images abort the process.
        os._exit(1)

    sys.excepthook = hook
