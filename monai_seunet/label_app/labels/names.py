"""Checks that names in requests do not lead out of their folder."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.utils.errors import InputError


def check_name(name: str, what: str) -> str:
    """Return a name from a request if it is a plain file name; `what` describes it in the error message.

    Raises:
        InputError: for an empty or long name, a folder, a leading dot or unprintable characters.
    """
    if not name or name != Path(name).name or name.startswith(".") or "\\" in name or not name.isprintable():
        raise InputError(f"{what} is '{name}'; give a name without folders and without a leading dot")
    if len(name.encode()) > 200:
        raise InputError(f"{what} '{name[:20]}...' is too long; give a name of at most 200 bytes")
    return name


def is_inside(path: str | Path, folder: str | Path) -> bool:
    """Return whether a file lies in a folder after links are followed."""
    return Path(path).resolve().is_relative_to(Path(folder).resolve())
