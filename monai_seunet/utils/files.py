"""Files: written whole or not at all, and told apart by their hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from monai_seunet.utils.errors import InputError


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` only when the block ends well.

    An error in the block removes what was written and leaves an older file at `path` as it was.

    Args:
        path: the file to make; its folder is made too.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = f"{os.getpid()}.{threading.get_ident()}"
    temporary = path.with_name(f".{path.stem}.{mine}{path.suffix}")  # libraries read the format off the suffix
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """A text as a plain file name: whatever it says, it leads out of no folder.

    Args:
        text: as a name of a run, which may come from another machine.
    """
    return re.sub(r"[^\w.+() -]", "_", text).lstrip(".") or "_"


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def suffix_of(path: str | Path) -> str:
    """The suffix of a file's format in lower case; `.nii.gz` is one."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def is_hidden(path: str | Path) -> bool:
    """Whether a file is none of the user's: `._a.png` of macOS, `.DS_Store`, or what a program began to write."""
    return Path(path).name.startswith(".")


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, or of a folder: of the sorted list `sha256  name` of its files; as hexadecimal digits."""
    path, digest = Path(path), hashlib.sha256()
    if path.is_dir():
        for file in sorted(one for one in path.iterdir() if not is_hidden(one)):
            digest.update(f"{sha256_of(file)}  {file.name}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


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
