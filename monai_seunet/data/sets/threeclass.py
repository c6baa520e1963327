"""Preparation of grey images whose masks have the classes background, border and nucleus."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.data.options import (
    add_destination,
    add_group,
    add_layout,
    add_split,
    group_pattern,
    layout_of,
    show,
    split_of,
)
from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, as_label, prepare_dataset, read_grey
from monai_seunet.data.split import group_of
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError

SECTION_FOLDERS = {
    "training": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
BORDER_CLASSES = ("background", "nucleus")
FACTS = Facts(
    name="threeclass",
    description="Nuclei in grey images, from masks of background, border and nucleus",
    licence="see the source of the images",
    label_kind="classes",
)


class Values(NamedTuple):
    """Mask values of the three classes."""

    background: int = 0
    border: int = 1
    nucleus: int = 2

    def label_of(self, mask: np.ndarray, border_class: int, path: Path) -> np.ndarray:
        """Convert a mask (H, W) to 0, 1 for nuclei and `border_class` for borders; other values raise an InputError."""
        unknown = np.setdiff1d(mask, self)
        if unknown.size:
            raise InputError(
                f"{path}: the mask holds {unknown[0]}, but background, border and nucleus are "
                f"{', '.join(map(str, self))}; correct --values"
            )
        return np.where(mask == self.border, border_class, mask == self.nucleus)


class Pair(NamedTuple):
    """An image with its mask, and its section in the source or None."""

    name: str
    image: Path
    mask: Path
    section: str | None


def prepare_threeclass(
    source: Path,
    destination: Path,
    split: Split,
    *,
    layout: Layout | None = None,
    values: Values | None = None,
    border_is_nucleus: bool = False,
    group: str | None = None,
    overwrite: bool = False,
) -> PrepareResult:
    """Prepare grey images of 8 or 16 bits with three-class masks for training.

    Args:
        source: folder with images and masks, or with sections as `train/images` or `images/train`, likewise for `val`
            and `test`. Without `val`, a share of `train` becomes the validation.
        destination: folder to create.
        split: function that chooses the section of each group without a section in the source.
        layout: subfolders and endings of names; by default `images` and `masks` with equal names.
        values: mask values; by default 0 for background, 1 for border, 2 for nucleus.
        border_is_nucleus: whether the border belongs to the nucleus instead of the background.
        group: regular expression that finds the patient or well in a name, see `group_of`.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the folder has another layout, a group is in two sections, or `prepare_dataset` fails.
    """
    pairs, problems = _find_pairs(source, layout or Layout())
    groups = {pair: group_of(pair.name, group) for pair in pairs}
    sections: dict[str, str] = {}
    for pair, name in groups.items():
        if pair.section and sections.setdefault(name, pair.section) != pair.section:
            raise InputError(f"{pair.image}: group '{name}' is in {sections[name]}, too; move it or correct --group")
    values, border_class = values or Values(), int(border_is_nucleus)
    readers = [partial(_read, source, pair, name, values, border_class) for pair, name in groups.items()]
    split = _completed(sections, split) if sections else split
    return prepare_dataset(FACTS, readers, split, destination, overwrite=overwrite, problems=problems)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare threeclass`."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with images and masks, or train, val and test")
    add_destination(parser)
    add_layout(parser)
    parser.add_argument(
        "--values",
        metavar="B,E,N",
        default=",".join(map(str, Values())),
        help="mask values of background, border and nucleus (default: %(default)s)",
    )
    parser.add_argument(
        "--border", choices=BORDER_CLASSES, default="background", help="class of the border (default: %(default)s)"
    )
    add_group(parser)
    add_split(parser, by="group")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    try:
        background, border, nucleus = map(int, options.values.split(","))
    except ValueError as error:
        raise InputError(f"--values is '{options.values}'; give three whole numbers such as 0,1,2") from error
    values = Values(background, border, nucleus)
    if len(set(values)) < 3:
        raise InputError(f"--values is '{options.values}'; background, border and nucleus need different numbers")
    return prepare_threeclass(
        options.source,
        options.destination,
        split_of(options, by="group"),
        layout=layout_of(options),
        values=values,
        border_is_nucleus=options.border == "nucleus",
        group=group_pattern(options),
        overwrite=options.overwrite,
    )


def _find_pairs(source: Path, layout: Layout) -> tuple[list[Pair], list[str]]:
    """Return all images with a mask, from the folders of sections if there are any, and messages about the others."""
    pairs: list[Pair] = []
    problems: list[str] = []
    for section, part in _sections(source, layout) or [(None, layout)]:
        files, unpaired = pair_files(source, part)
        pairs += [Pair(f"{section}_{name}" if section else name, *pair, section) for name, pair in files.items()]
        problems += unpaired
    return pairs, problems


def _sections(source: Path, layout: Layout) -> list[tuple[str | None, Layout]]:
    sections: list[tuple[str | None, Layout]] = []
    for section, names in SECTION_FOLDERS.items():
        for name in names:
            outer = replace(layout, images=f"{name}/{layout.images}", masks=f"{name}/{layout.masks}")
            inner = replace(layout, images=f"{layout.images}/{name}", masks=f"{layout.masks}/{name}")
            sections += [(section, part) for part in (outer, inner) if (source / part.images).is_dir()]
    return sections


def _completed(source_sections: Mapping[str, str], split: Split) -> Split:
    """Return a split that keeps the sections of the source, and divides its training if it has no validation."""

    def completed(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections = {group: source_sections[group] for group in groups}
        if "validation" in sections.values():
            return sections, {"by": "the source"}
        divided, description = split([group for group, section in sections.items() if section == "training"])
        return sections | divided, {**description, "test": "the source"}

    return completed


def _read(
    source: Path, pair: Pair, group: str, values: Values, border_class: int, _problems: list[str]
) -> Iterator[Sample]:
    raster = read_grey(pair.image)
    mask = as_label(read_label(pair.mask), raster.pixels.shape, pair.mask)
    sources = {path.relative_to(source).as_posix(): path for path in (pair.image, pair.mask)}
    label = values.label_of(mask, border_class, pair.mask)
    yield Sample(pair.name, raster.pixels, label, group=group, sources=sources, notes=raster.notes)
