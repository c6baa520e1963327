"""Which files hold annotations, by their names."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.errors import InputError
from monai_seunet.reading.names import list_files

SUFFIXES = (".xml", ".geojson", ".geojson.gz", ".json")


def is_annotation_name(path: str | Path) -> bool:
    """Whether a file's name has a suffix of annotations that can be read."""
    return Path(path).name.lower().endswith(SUFFIXES)


def annotations_by_stem(folder: Path, ending: str = "") -> dict[str, Path]:
    """The files of annotations in a folder by their names without suffix, those alone whose names end so.

    Args:
        folder: to look into.
        ending: of names before the suffix; it is taken off.

    Raises:
        InputError: where there is no such folder, or two files have one name.
    """
    found: dict[str, Path] = {}
    for path in list_files(folder, (*SUFFIXES, ".gz")):
        if not is_annotation_name(path):
            continue
        stem = path.name[: -len(next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)))]
        if not stem.endswith(ending):
            continue
        name = stem.removesuffix(ending)
        if name in found:
            raise InputError(f"{path}: {found[name].name} has the same name in another format; keep one of them")
        found[name] = path
    return found
