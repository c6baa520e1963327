"""Preparation of the colon glands of the GlaS challenge, from the download or from a folder of JPEG."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from monai_seunet.data.options import add_destination, add_split, show, split_of
from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, prepare_dataset, read_colours
from monai_seunet.data.sets.folder import Meaning
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError

OFFICIAL, FOLDERS = Layout(".", ".", mask_ending="_anno"), Layout("images", "masks")
GRADES_FILE = "Grade.csv"
THRESHOLD = 128  # JPEG blurs masks of 0 and 255
FACTS = Facts(
    name="glas",
    description="Glands of the colon in H&E at 20x, GlaS challenge of MICCAI 2015 (Sirinukunwattana 2017)",
    licence="research only",
    classes=("background", "gland"),
    mpp=0.62,
)


def prepare_glas(source: Path, destination: Path, split: Split, *, overwrite: bool = False) -> PrepareResult:
    """Prepare GlaS with instance labels.

    Masks of 0 and 255 have a threshold of 128, and their connected areas become instances, so glands that touch
    merge. Other masks hold the numbers of the glands. The group of an image is its patient in `Grade.csv`, or else the
    image.

    Args:
        source: official folder (`train_1.bmp`, `train_1_anno.bmp`, `Grade.csv`), or a folder with `images` and `masks`.
        destination: folder to create.
        split: function that chooses the section of each group; the sections of the challenge share patients.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the folder has another layout, or `prepare_dataset` fails.
    """
    official = not (source / FOLDERS.images).is_dir()
    pairs, problems = pair_files(source, OFFICIAL if official else FOLDERS)
    if not pairs:
        raise InputError(f"{source}: no image has a mask; expected is train_1.bmp with train_1_anno.bmp")
    patients = read_patients(source / GRADES_FILE) if (source / GRADES_FILE).is_file() else {}
    if patients:
        problems += [f"{name}: not in {GRADES_FILE}; counted as another patient" for name in pairs.keys() - patients]
    readers = [partial(_read, source, name, *pair, patients.get(name, name)) for name, pair in pairs.items()]
    return prepare_dataset(FACTS, readers, split, destination, overwrite=overwrite, problems=sorted(problems))


def read_patients(path: Path) -> dict[str, str]:
    """Read the patients of images from a table with the columns name and patient ID, or raise an InputError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows: list[Mapping[str, str]] = list(csv.DictReader(file, skipinitialspace=True))
        return {row["name"].strip(): f"patient-{row['patient ID'].strip()}" for row in rows}
    except (OSError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no table with the columns name and patient ID can be read ({error!r})") from error


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare glas`."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder with train_1.bmp ..., or images and masks")
    add_destination(parser)
    add_split(parser, by="patient")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    split = split_of(options, by="patient" if (options.source / GRADES_FILE).is_file() else "image")
    return prepare_glas(options.source, options.destination, split, overwrite=options.overwrite)


def _read(source: Path, name: str, image: Path, mask: Path, group: str, problems: list[str]) -> Iterator[Sample]:
    raster, values = read_colours(image), read_label(mask)
    binary = mask.suffix.lower() in (".jpg", ".jpeg") or set(np.unique(values)) <= {0, 255}
    meaning = Meaning("instances", FACTS.classes, THRESHOLD if binary else None)
    label = meaning.label_of(values, raster.pixels.shape, mask, problems)
    sources = {path.relative_to(source).as_posix(): path for path in (image, mask)}
    label_source = "mask" if binary else "outlines"
    yield Sample(name, raster.pixels, label, group, sources, label_source, notes=raster.notes)
