"""A folder that one process works in."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from monai_seunet.errors import InputError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a folder, so that no second process works in it.

    Yields:
        The descriptor of the lock: a process that inherits it holds the folder, too, for as long as it lives.

    Raises:
        InputError: where another process holds it, or it cannot be written.
    """
    with _lock_file(folder) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield file.fileno()
        finally:
            (folder / LOCK).unlink(missing_ok=True)  # while it is held: who comes now makes a new one
            with suppress(OSError):
                folder.rmdir()  # where nothing was written


def _lock_file(folder: Path) -> TextIO:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("a+")
        except FileNotFoundError:  # removed in between
            continue
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); give another output folder") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                file.seek(0)
                raise InputError(f"{folder}: {file.read().strip() or 'another process'} works in it") from error
        if os.fstat(file.fileno()).st_nlink:  # else its former holder has removed it in between
            return file
        file.close()
