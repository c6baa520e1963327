"""Recognition of annotation files by their names."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.reading.names import by_stem, list_files

SUFFIXES = (".xml", ".geojson", ".geojson.gz", ".json")


def is_annotation_name(path: str | Path) -> bool:
    """Return whether the suffix of a file is one of a supported annotation format."""
    return Path(path).name.lower().endswith(SUFFIXES)


def annotations_by_stem(folder: Path, ending: str = "") -> dict[str, Path]:
    """Return the annotation files of a folder whose stem has the ending, by their stem without the ending.

    Args:
        folder: folder to list.
        ending: end of the stem, such as `_mask`; other files are left out.

    Raises:
        InputError: the folder does not exist, or two files have the same stem.
    """
    files = [path for path in list_files(folder, (*SUFFIXES, ".gz")) if is_annotation_name(path)]
    return by_stem(files, ending, _stem)


def _stem(path: Path) -> str:
    return path.name[: -len(next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)))]
