"""Preparation of TNBC (Naylor 2018) from its download, or from a folder of images and numbered masks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from monai_seunet.data.options import add_destination, add_split, show, split_of
from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, prepare_dataset, read_colours
from monai_seunet.data.sets.folder import instances_of_mask
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError

SLIDE, TRUTH = "Slide_", "GT_"  # prefixes of the official folders, before the number of the patient
FOLDERS = Layout("images", "masks")
PATIENTS = 11  # the later download also has brain tumours of other laboratories, numbered from 12
FACTS = Facts(
    name="tnbc",
    description="Nuclei of triple-negative breast cancer in H&E, 512x512 pixels at 40x, Curie Institute (Naylor 2018)",
    licence="CC BY 4.0",
    mpp=0.25,
)


def prepare_tnbc(source: Path, destination: Path, split: Split, *, overwrite: bool = False) -> PrepareResult:
    """Prepare TNBC with instance labels.

    The official masks are binary or hold cell types. Their connected areas become instances, so nuclei that touch
    merge. The masks of the other layout may hold the numbers of the nuclei (see `instances_of_mask`). `label_source` in
    `dataset.json` records the source of each label: `mask` or `instances`. The group of an image is its patient, the
    number before `_` in its name. The brain images of the later download are reported and skipped.

    Args:
        source: official folder (`Slide_01/01_1.png`, `GT_01/01_1.png`), or a folder with `images` and `masks`.
        destination: folder to create.
        split: function that chooses the section of each patient.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the folder has neither layout, or `prepare_dataset` fails.
    """
    official = not (source / FOLDERS.images).is_dir()
    layouts, problems = _official_layouts(source) if official else ([FOLDERS], [])
    readers = []
    for layout in layouts:
        pairs, unpaired = pair_files(source, layout)
        readers += [partial(_read, source, name, *pair, official) for name, pair in pairs.items()]
        problems += unpaired
    return prepare_dataset(FACTS, readers, split, destination, overwrite=overwrite, problems=problems)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare tnbc`."""
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder with {SLIDE}01 ..., or images and masks")
    add_destination(parser)
    add_split(parser, by="patient")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    split = split_of(options, by="patient")
    return prepare_tnbc(options.source, options.destination, split, overwrite=options.overwrite)


def _official_layouts(source: Path) -> tuple[list[Layout], list[str]]:
    """Return the layout of each patient, and a message for every folder without a partner."""
    slides, truths = (_numbers(source, prefix) for prefix in (SLIDE, TRUTH))
    if not slides:
        raise InputError(
            f"{source}: holds neither folders {SLIDE}01 with {TRUTH}01 nor images with masks; unpack the download and "
            "give the folder that holds them"
        )
    problems = [f"{source / SLIDE}{number}: no {TRUTH}{number} beside it; skipped" for number in slides - truths]
    problems += [f"{source / TRUTH}{number}: no {SLIDE}{number} beside it; skipped" for number in truths - slides]
    return [Layout(f"{SLIDE}{number}", f"{TRUTH}{number}") for number in sorted(slides & truths)], sorted(problems)


def _numbers(source: Path, prefix: str) -> set[str]:
    return {path.name.removeprefix(prefix) for path in source.glob(f"{prefix}*") if path.is_dir()}


def _read(source: Path, name: str, image: Path, mask: Path, official: bool, problems: list[str]) -> Iterator[Sample]:
    group = _patient(name, image)
    raster, values = read_colours(image), read_label(mask)
    label, label_source = instances_of_mask(values > 0 if official else values, raster.pixels.shape, mask, problems)
    sources = {path.relative_to(source).as_posix(): path for path in (image, mask)}
    yield Sample(name, raster.pixels, label, group, sources, label_source, notes=raster.notes)


def _patient(name: str, image: Path) -> str:
    number, separator, _ = name.partition("_")
    if not (separator and number.isdecimal()):
        raise InputError(f"{image}: the name does not begin with the number of a patient, as in 01_1.png; skipped")
    if int(number) > PATIENTS:
        raise InputError(f"{image}: patient {number} has no breast cancer (patients 1 to {PATIENTS}); skipped")
    return f"patient-{number}"
