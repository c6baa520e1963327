"""Reading and checks of `dataset.json`, the description of a prepared data set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from monai_seunet.utils.errors import InputError

FILE_NAME = "dataset.json"
SECTIONS = ("training", "validation", "test")
LABEL_KINDS = ("instances", "classes")
_KEYS = {
    "name",
    "description",
    "licence",
    "classes",
    "label_kind",
    "mpp",
    "ignored_label",
    "sources",
    "split",
    *SECTIONS,
}
_ITEM_KEYS = {"image", "label", "group", "label_source", "kind"}


@dataclass(frozen=True)
class PreparedDataset:
    """The items of a prepared data set by section, and the meaning of its labels and pixels.

    Attributes:
        path: path of its `dataset.json`.
        name: short name for runs and tables.
        classes: class names in the order of the class indices.
        label_kind: `instances` (0 is background, every other value is an object) or `classes` (class indices).
        mpp: µm per pixel of all images; None if it is unknown or varies.
        ignored_label: label value of pixels without annotation; None if all pixels are annotated.
        training: items with the keys `image` and `label` (absolute file names) and `group`.
        validation: items of the same form.
        test: items of the same form.
        description: description in one sentence.
        licence: licence of the images.
        sources: sha256 of every source file by its path relative to the source folder.
        split: description of the split into sections.
        parts: data sets that were joined; empty for a single data set.
        fold: number of the fold and number of folds of a cross-validation; None for the split of the file.
    """

    path: Path
    name: str
    classes: tuple[str, ...]
    label_kind: str
    mpp: float | None = None
    ignored_label: int | None = None
    training: list[dict[str, str]] = field(default_factory=list)
    validation: list[dict[str, str]] = field(default_factory=list)
    test: list[dict[str, str]] = field(default_factory=list)
    description: str = ""
    licence: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[PreparedDataset, ...] = ()
    fold: tuple[int, int] | None = None

    def name_of(self, item: Mapping[str, str]) -> str:
        """Return the name of an item's image relative to the data set, with the name of its part in a joined one."""
        file = Path(item["image"]).resolve()
        for part in self.parts:
            if file.is_relative_to(part.path.parent.resolve()):
                return f"{part.name}/{part.name_of(item)}"
        return file.relative_to(self.path.parent.resolve()).as_posix()

    @property
    def num_classes(self) -> int:
        """Number of classes including background."""
        return len(self.classes)

    def items(self, section: str) -> list[dict[str, str]]:
        """Return the items of one section, or raise an InputError if the section is unknown or empty."""
        if section not in SECTIONS:
            raise InputError(f"{self.path}: no section '{section}'; the sections are {', '.join(SECTIONS)}")
        items: list[dict[str, str]] = getattr(self, section)
        if not items:
            filled = [name for name in SECTIONS if getattr(self, name)]
            raise InputError(
                f"{self.path}: the section '{section}' is empty (filled: {', '.join(filled) or 'none'}); "
                "prepare the data set with another split, or name a filled section"
            )
        return items


def load_dataset(path: str | Path | Sequence[str | Path]) -> PreparedDataset:
    """Read and check a prepared data set, or join several.

    Args:
        path: `dataset.json` or its folder, or a list of these, see `join_datasets`.

    Raises:
        InputError: a file is missing, a key is missing, unknown or of the wrong type, or an item lies outside the
            folder.
    """
    if not isinstance(path, str | Path):
        return join_datasets([load_dataset(part) for part in path])
    path = Path(path).expanduser()
    path = path / FILE_NAME if path.is_dir() else path
    content = _read_json(path)
    _check_keys(content, _KEYS, {"name", "classes", "label_kind"}, str(path))
    if not content.keys() & set(SECTIONS):
        raise InputError(f"{path}: has none of the sections {', '.join(SECTIONS)}; prepare the data set again")
    _check_meaning(content, path)
    texts = {key: str(content.get(key, "")) for key in ("name", "description", "licence")}
    sections = {name: _items(content.get(name, []), name, path) for name in SECTIONS}
    values = content | texts | sections | {"classes": tuple(content["classes"])}
    return PreparedDataset(path=path, **values)


def check_use(dataset: PreparedDataset, sections: Sequence[str], num_classes: int) -> None:
    """Raise an error for a data set that a job cannot use, before it loads a network or an image.

    Args:
        dataset: data set of the job.
        sections: sections that the job reads.
        num_classes: number of classes of the network.

    Raises:
        InputError: a section is unknown or empty, or the numbers of classes differ.
    """
    for section in sections:
        dataset.items(section)
    if dataset.num_classes != num_classes:
        raise InputError(
            f"{dataset.path}: has {dataset.num_classes} classes ({', '.join(dataset.classes)}), but num_classes is "
            f"{num_classes}; give --num_classes {dataset.num_classes} and weights for them, or prepare the data set "
            "with other classes"
        )


def holds_instances(path: str | Path | Sequence[str | Path]) -> bool:
    """Return whether the labels of a prepared data set hold instances of one class.

    Args:
        path: see `load_dataset`; an invalid data set returns False, because `load_dataset` reports the error later.
    """
    try:
        dataset = load_dataset(path)
    except InputError:
        return False
    return dataset.label_kind == "instances" and len(dataset.classes) == 2


def join_datasets(datasets: Sequence[PreparedDataset]) -> PreparedDataset:
    """Concatenate the sections of several data sets; different µm per pixel become None, and licences are joined.

    Raises:
        InputError: there is no data set, two have one name, or they differ in classes, label kind or ignored label.
    """
    if not datasets:
        raise InputError("dataset_dir names no data set; give at least one folder")
    first, names = datasets[0], [part.name for part in datasets]
    if len(set(names)) < len(names):
        raise InputError(f"dataset_dir names data sets {names}; give each once, and prepare them by different names")
    for other in datasets[1:]:
        for name in ("classes", "label_kind", "ignored_label"):
            expected, actual = getattr(first, name), getattr(other, name)
            if expected != actual:
                raise InputError(
                    f"{first.path} and {other.path}: {name} {expected!r} and {actual!r} do not go together; give data "
                    "sets that agree"
                )
    sections: dict[str, Any] = {name: [item for part in datasets for item in getattr(part, name)] for name in SECTIONS}
    return replace(
        first,
        name="+".join(names),
        mpp=first.mpp if len({part.mpp for part in datasets}) == 1 else None,
        description=" ".join(part.description for part in datasets),
        licence="; ".join(dict.fromkeys(part.licence for part in datasets)),
        sources={f"{part.name}/{file}": digest for part in datasets for file, digest in part.sources.items()},
        split={part.name: part.split for part in datasets},
        parts=tuple(datasets),
        fold=next((part.fold for part in datasets if part.fold), None),
        **sections,
    )


def load_datalist(path: str | Path, section: str) -> list[dict[str, str]]:
    """Return the items of one section with absolute file names, as a MONAI data list.

    Args:
        path: `dataset.json`, or its folder.
        section: `training`, `validation` or `test`.

    Raises:
        InputError: `load_dataset` cannot read the data set, or the section is unknown or empty.
    """
    return load_dataset(path).items(section)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such data set; make one with `monai-seunet prepare`, or correct the path")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); prepare the data set again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: an object with keys is expected, got {type(content).__name__}")
    return content


def _check_keys(content: Mapping[str, Any], allowed: set[str], required: set[str], where: str) -> None:
    for key in content:
        if key not in allowed:
            raise InputError(f"{where}: unknown key '{key}'; known keys are {', '.join(sorted(allowed))}")
    for key in sorted(required - content.keys()):
        raise InputError(f"{where}: the key '{key}' is missing")


def _check_meaning(content: Mapping[str, Any], path: Path) -> None:
    """Raise an error for invalid classes, label kind, µm per pixel or ignored label."""
    classes, kind, mpp = content["classes"], content["label_kind"], content.get("mpp")
    if not isinstance(classes, list) or len(classes) < 2 or not all(isinstance(name, str) for name in classes):
        raise InputError(f"{path}: 'classes' must list at least two names; got {classes!r}")
    if kind not in LABEL_KINDS:
        raise InputError(f"{path}: 'label_kind' is {kind!r}; it must be one of {', '.join(LABEL_KINDS)}")
    if mpp is not None and not (_is_number(mpp) and mpp > 0):
        raise InputError(f"{path}: 'mpp' is {mpp!r}; it must be µm per pixel, above 0, or null if it is unknown")
    ignored = content.get("ignored_label")
    if ignored is not None and not (isinstance(ignored, int) and not 0 <= ignored < len(classes)):
        raise InputError(f"{path}: 'ignored_label' is {ignored!r}; it must be null, or a number that is no class index")


def _items(items: Any, section: str, path: Path) -> list[dict[str, str]]:
    if not isinstance(items, list):
        raise InputError(f"{path}: '{section}' must be a list of items, got {type(items).__name__}")
    return [_item(item, f"{path}: {section}[{index}]", path.parent) for index, item in enumerate(items)]


def _item(item: Any, where: str, folder: Path) -> dict[str, str]:
    if not isinstance(item, dict):
        raise InputError(f'{where}: expected {{"image": ..., "label": ...}}, got {type(item).__name__}')
    _check_keys(item, _ITEM_KEYS, {"image", "label"}, where)
    return {**item, "image": _inside(folder, item["image"], where), "label": _inside(folder, item["label"], where)}


def _inside(folder: Path, name: Any, where: str) -> str:
    """Return the absolute path of a file below `folder`; a data set must not name other files of the machine."""
    root = folder.resolve()
    file = (root / str(name)).resolve()
    if not file.is_relative_to(root):
        raise InputError(f"{where}: '{name}' lies outside {folder}; a data set may only name files in its own folder")
    if not file.is_file():
        raise InputError(f"{where}: {file} is missing; prepare the data set again")
    return str(file)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
