"""Access to a download that is a folder or an archive."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

_Member = tuple[str, IO[bytes]]


@contextmanager
def open_source(source: Path, suffix: str) -> Iterator[Path]:
    """Yield the folder of a download, or a temporary folder with the files of an archive.

    An archive (zip, or tar with any compression) is read once in sequence. The temporary folder is deleted at the end.

    Args:
        source: folder or archive.
        suffix: suffix of the files to unpack, such as `.png`.

    Raises:
        InputError: the source does not exist, or an archive is damaged, has another format, or has a member that is a
            link or would lie outside of the folder.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise InputError(f"{source}: no such folder or archive")
    with tempfile.TemporaryDirectory(prefix="monai-seunet-") as name:
        try:
            for member, content in progress_bar(_members(source), desc="unpack", unit="file", leave=False):
                path = Path(name, _safe(member, source))
                if path.suffix.lower() == suffix:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with open(path, "wb") as file:
                        shutil.copyfileobj(content, file)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise InputError(f"{source}: cannot be unpacked ({error}); download it again or free some space") from error
        yield Path(name)


def _members(archive: Path) -> Iterator[_Member]:
    """Yield the name and the content of every file; the content is valid until the next iteration."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                if not entry.is_dir():
                    with zipped.open(entry) as content:
                        yield entry.filename, content
        return
    with tarfile.open(archive, mode="r|*") as stream:
        for member in stream:
            if member.isdir():
                continue
            file = stream.extractfile(member) if member.isfile() else None
            if file is None:
                raise InputError(f"{archive}: '{member.name}' is a link or device; an archive of plain files is needed")
            yield member.name, file


def _safe(member: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(f"{archive}: '{member}' would be unpacked outside its folder; do not use this archive")
    return path
