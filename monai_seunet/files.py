"""Files: written whole or not at all, and told apart by their hash."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monai_seunet.reading.names import is_hidden


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
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
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


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
