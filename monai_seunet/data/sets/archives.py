"""Open a download as it came: a folder, or an archive that is unpacked into a temporary folder."""

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
    """The folder of a download for the length of a `with` block.

    A folder is taken as it is. Of an archive (tar, compressed or not, or zip), which is read once from front to back,
    the files of one format go to a temporary folder, which is deleted at the end.

    Args:
        source: folder or archive.
        suffix: format of the files that are needed, as `.png`.

    Raises:
        InputError: where there is no such source, an archive is damaged or of another format, or one of its members
            would lie outside (an absolute path, or one through `..`) or is a link.
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
            raise InputError(
                f"{source}: cannot be unpacked ({error}); download it again, or free some space"
            ) from error
        yield Path(name)


def _members(archive: Path) -> Iterator[_Member]:
    """Name and content of every file of an archive; the content can be read until the next one is asked for."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                if not entry.is_dir():
                    with zipped.open(entry) as content:
                        yield entry.filename, content
        return
    with tarfile.open(archive, mode="r|*") as tape:
        for member in tape:
            if member.isdir():
                continue
            found = tape.extractfile(member) if member.isfile() else None
            if found is None:
                raise InputError(
                    f"{archive}: '{member.name}' is a link or a device; an archive of plain files is needed"
                )
            yield member.name, found


def _safe(member: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(member.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise InputError(f"{archive}: '{member}' would be unpacked outside its folder; do not use this archive")
    return path
