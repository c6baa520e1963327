"""Names that requests give: they may not lead out of the folder that they are for."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.utils.errors import InputError


def check_name(name: str, what: str) -> str:
    """Refuse what is no plain name of a file.

    Args:
        name: from a request.
        what: it is called, in the message.

    Raises:
        InputError: for an empty name, one with folders, a leading dot or characters that cannot be shown.
    """
    if not name or name != Path(name).name or name.startswith(".") or "\\" in name or not name.isprintable():
        raise InputError(f"{what} is '{name}'; give a name without folders and without a dot before it")
    if len(name.encode()) > 200:
        raise InputError(f"{what} '{name[:20]}...' is too long; give one of at most 200 bytes")
    return name


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Whether a file lies in a folder, links followed."""
    return Path(path).resolve().is_relative_to(Path(folder).resolve())
