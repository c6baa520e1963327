"""Grey images with masks of background, border and nucleus to a prepared data set of two classes."""

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
    """Which value of a mask means what."""

    background: int = 0
    border: int = 1
    nucleus: int = 2

    def label_of(self, mask: np.ndarray, border_class: int, path: Path) -> np.ndarray:
        """The classes 0 background and 1 nucleus, (H, W), of a mask (H, W); the border becomes `border_class`.

        Raises:
            InputError: where the mask holds another value.
        """
        unknown = np.setdiff1d(mask, self)
        if unknown.size:
            raise InputError(
                f"{path}: the mask holds {unknown[0]}, but background, border and nucleus are "
                f"{', '.join(map(str, self))}; correct --values"
            )
        return np.where(mask == self.border, border_class, mask == self.nucleus)


class Pair(NamedTuple):
    """An image with its mask, and the section that the source gives them."""

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
    """Bring grey images and three-class masks into the form that training reads; 8 or 16 bits and one channel are kept.

    Args:
        source: folder with images and masks, or with `train`, `val` and `test` that hold them, which then are the
            sections (also `images/train` and `masks/train` ...). Without `val`, a share of `train` is the validation.
        destination: folder to make.
        split: chooses the section of each group that the source gives none.
        layout: names of the subfolders and endings; by default `images` and `masks` with the same names.
        values: which value means what; by default 0 background, 1 border, 2 nucleus.
        border_is_nucleus: whether the border belongs to the nucleus instead of the background.
        group: finds the patient or well in a name, see `group_of`.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: where the layout does not fit the folder or a group lies in two sections of it, and as
            `prepare_dataset`.
    """
    pairs, problems = _find_pairs(source, layout or Layout())
    groups = {pair: group_of(pair.name, group) for pair in pairs}
    given: dict[str, str] = {}
    for pair, name in groups.items():
        if pair.section and given.setdefault(name, pair.section) != pair.section:
            raise InputError(f"{pair.image}: the group '{name}' lies in {given[name]}, too; move it or correct --group")
    values, border_class = values or Values(), int(border_is_nucleus)
    readers = [partial(_read, source, pair, name, values, border_class) for pair, name in groups.items()]
    chosen = _completed(given, split) if given else split
    return prepare_dataset(FACTS, readers, chosen, destination, overwrite=overwrite, problems=problems)


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
        "--border", choices=BORDER_CLASSES, default="background", help="what the border becomes (default: %(default)s)"
    )
    add_group(parser)
    add_split(parser, by="group")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    try:
        background, border, nucleus = map(int, options.values.split(","))
    except ValueError as error:
        raise InputError(f"--values is '{options.values}'; give three whole numbers, as 0,1,2") from error
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
    """All images with a mask, from the folders of sections where there are any; and what has no partner."""
    found: list[Pair] = []
    problems: list[str] = []
    for section, part in _sections(source, layout) or [(None, layout)]:
        pairs, lonely = pair_files(source, part)
        found += [Pair(f"{section}_{name}" if section else name, *pair, section) for name, pair in pairs.items()]
        problems += lonely
    return found, problems


def _sections(source: Path, layout: Layout) -> list[tuple[str | None, Layout]]:
    found: list[tuple[str | None, Layout]] = []
    for section, names in SECTION_FOLDERS.items():
        for name in names:
            outer = replace(layout, images=f"{name}/{layout.images}", masks=f"{name}/{layout.masks}")
            inner = replace(layout, images=f"{layout.images}/{name}", masks=f"{layout.masks}/{name}")
            found += [(section, part) for part in (outer, inner) if (source / part.images).is_dir()]
    return found


def _completed(given: Mapping[str, str], split: Split) -> Split:
    """The sections of the source; where it has no validation, `split` takes one from its training."""

    def chosen(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections = {group: given[group] for group in groups}
        if "validation" in sections.values():
            return sections, {"by": "the source"}
        found, how = split([group for group, section in sections.items() if section == "training"])
        return sections | found, {**how, "test": "the source"}

    return chosen


def _read(
    source: Path, pair: Pair, group: str, values: Values, border_class: int, _problems: list[str]
) -> Iterator[Sample]:
    raster = read_grey(pair.image)
    mask = as_label(read_label(pair.mask), raster.pixels.shape, pair.mask)
    sources = {path.relative_to(source).as_posix(): path for path in (pair.image, pair.mask)}
    label = values.label_of(mask, border_class, pair.mask)
    yield Sample(pair.name, raster.pixels, label, group, sources, notes=raster.notes)
