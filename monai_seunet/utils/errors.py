"""Errors that a user can correct, shown as one line instead of a stack trace."""

from __future__ import annotations

import difflib
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from monai_seunet.utils.progress import write_line

_IN_WORKER = re.compile(r"^monai_seunet\.utils\.errors\.InputError: (.*)$", re.MULTILINE)


class InputError(ValueError):
    """Error of a user's input: its message names the file or option, the given value and the correction.

    Raise it for data, options and checkpoints that cannot be used. Programming errors keep Python's own types.
    """


def missing(package: str, extra: str) -> InputError:
    """Return the error of an optional package that is not installed.

    Args:
        package: name of the package, and perhaps what needs it.
        extra: extra of `monai-seunet` in pyproject.toml that installs it.

    >>> missing("spatialdata", "spatial")
    InputError('spatialdata is not installed; pip install "monai-seunet[spatial]"')
    """
    return InputError(f'{package} is not installed; pip install "monai-seunet[{extra}]"')


def is_installed(package: str) -> bool:
    """Return whether a package can be found, without its import; a part such as `bioimageio.spec` imports its parent.

    >>> is_installed("numpy"), is_installed("no_such_package.part")
    (True, False)
    """
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the parent is not installed
        return False


def did_you_mean(name: str, known: Iterable[str], shown: Mapping[str, str] | None = None) -> str:
    """Return the end of a message with the most similar known names; empty if none is similar.

    Args:
        name: unknown name.
        known: known names.
        shown: what the message has in place of some of the known names.

    >>> did_you_mean("windw", ["window", "window_batch", "power"])
    '; did you mean window?'
    """
    near = [(shown or {}).get(each, each) for each in difflib.get_close_matches(name, list(known), n=2)]
    return f"; did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""


def make_folder(path: str | Path) -> Path:
    """Make a folder for results if it does not exist.

    Raises:
        InputError: for a folder that cannot be made or written.
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

    MONAI wraps errors of components and transforms, so the chain of causes is followed. A worker process of a data
    loader sends the chain as text.

    >>> find_input_error(InputError("width is 0; give at least 1"))
    InputError('width is 0; give at least 1')
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        sent = _IN_WORKER.search(str(error))
        if sent:
            return InputError(sent[1])
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def innermost(error: BaseException) -> BaseException:
    """Return the error at the end of the chain of causes, because MONAI and torch wrap the original error."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return error


def show_input_errors_in_one_line() -> None:
    """Make the interpreter end with one line and status 1 if an `InputError` was the cause.

    Other errors keep their stack trace; `SEUNET_DEBUG=1` keeps it for all errors. The bundle's configs call this once.
    """
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        cause = find_input_error(error)
        if cause is None or os.environ.get("SEUNET_DEBUG"):
            previous(kind, error, trace)
            return
        write_line(f"error: {cause}", file=sys.stderr)  # starts a new line if a progress bar is open
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # At a normal exit a rank would wait for the others, and threads that still load images abort the process.
        os._exit(1)

    sys.excepthook = hook
