"""Which files hold annotations, by their names."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.reading.names import by_stem, list_files

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
    files = [path for path in list_files(folder, (*SUFFIXES, ".gz")) if is_annotation_name(path)]
    return by_stem(files, ending, _stem)


def _stem(path: Path) -> str:
    return path.name[: -len(next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)))]
