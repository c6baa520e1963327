"""Files: atomic writing, names, hashes and locks of folders."""

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
    """Yield a temporary file name beside `path`; the file is renamed to `path` if the block succeeds.

    The folder of `path` is also made. An error in the block leaves an older file at `path` unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{os.getpid()}.{threading.get_ident()}"
    temporary = path.with_name(f".{path.stem}.{writer}{path.suffix}")  # libraries choose the format by the suffix
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_name(text: str) -> str:
    """Return any text, such as a name from another machine, as a plain file name that cannot lead out of a folder.

    >>> file_name("../SEUNet: 5 groups")
    '_SEUNet_ 5 groups'
    """
    return re.sub(r"[^\w.+() -]", "_", text).lstrip(".") or "_"


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def suffix_of(path: str | Path) -> str:
    """Return the suffix of a file's format in lower case; `.nii.gz` is one suffix."""
    name = Path(path).name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def is_hidden(path: str | Path) -> bool:
    """Return whether a name begins with a dot, as `._a.png` and `.DS_Store` of macOS and temporary files."""
    return Path(path).name.startswith(".")


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file, or of the sorted list `sha256  name` of the files in a folder, in hexadecimal."""
    path, digest = Path(path), hashlib.sha256()
    if path.is_dir():
        for file in sorted(entry for entry in path.iterdir() if not is_hidden(entry)):
            digest.update(f"{sha256_of(file)}  {file.name}\n".encode())
        return digest.hexdigest()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Lock a folder against other processes.

    Yields:
        The descriptor of the lock; a child process that inherits it keeps the lock while it runs.

    Raises:
        InputError: for a folder that another process has locked or that cannot be written.
    """
    with _lock_file(folder) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        try:
            yield file.fileno()
        finally:
            (folder / LOCK).unlink(missing_ok=True)  # still locked here, so the next process makes a new file
            with suppress(OSError):
                folder.rmdir()  # fails unless the folder is empty


def _lock_file(folder: Path) -> TextIO:
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / LOCK).open("a+")
        except FileNotFoundError:  # the former owner has just removed the folder
            continue
        except OSError as error:
            raise InputError(f"{folder}: cannot be written ({error.strerror}); give another output folder") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with file:
                file.seek(0)
                raise InputError(f"{folder}: {file.read().strip() or 'another process'} works in it") from error
        if os.fstat(file.fileno()).st_nlink:  # 0 if the former owner has just removed the file
            return file
        file.close()
