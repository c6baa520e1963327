"""Recognition of annotation files by their names."""

from __future__ import annotations

from pathlib import Path

from monai_seunet.reading.names import by_stem, list_files

SUFFIXES = (".xml", ".geojson", ".geojson.gz", ".json")


def is_annotation_name(path: str | Path) -> bool:
    """Return whether the suffix of a file is one of a supported annotation format."""
    return Path(path).name.lower().endswith(SUFFIXES)


def annotations_by_stem(folder: Path, ending: str = "") -> dict[str, Path]:
    """Return the annotation files of a folder by their stem without an ending; see `list_files` and `by_stem`."""
    files = [path for path in list_files(folder, (*SUFFIXES, ".gz")) if is_annotation_name(path)]
    return by_stem(files, ending, _stem)


def _stem(path: Path) -> str:
    return path.name[: -len(next(suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)))]
