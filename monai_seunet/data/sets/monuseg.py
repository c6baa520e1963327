"""Preparation of MoNuSeg from its download (`Tissue Images/*.tif`, `Annotations/*.xml`)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from monai_seunet.data.options import add_destination, add_split, show, split_of
from monai_seunet.data.outlines import label_of_instances
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, prepare_dataset, read_colours
from monai_seunet.data.sets.folder import instances_of_mask
from monai_seunet.data.split import tcga_patient
from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.annotations.names import SUFFIXES, annotations_by_stem
from monai_seunet.reading.names import by_stem, list_files
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError

IMAGE_FOLDER, OUTLINE_FOLDER = "Tissue Images", "Annotations"
FACTS = Facts(
    name="monuseg",
    description="Nuclei of several organs in H&E, 1000x1000 pixels at 40x, from The Cancer Genome Atlas (Kumar 2017)",
    licence="CC BY-NC-SA 4.0",
    mpp=0.25,
)


def prepare_monuseg(
    source: Path, destination: Path, split: Split, *, masks: Path | None = None, overwrite: bool = False
) -> PrepareResult:
    """Prepare the official MoNuSeg folder with instance labels.

    `label_source` in `dataset.json` records the source of each label: `outlines`, `instances` or `mask`.

    Args:
        source: folder that contains `Tissue Images` and `Annotations`, with outlines in any format of
            `read_annotations`.
        destination: folder to create.
        split: function that chooses the section of each patient.
        masks: folder of PNG masks for images without outlines, with the numbers of the nuclei, or binary, where nuclei
            that touch merge (see `instances_of_mask`).
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the folder has another layout, or `prepare_dataset` fails.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give the one that holds '{IMAGE_FOLDER}' and '{OUTLINE_FOLDER}'")
    images = _files(source / IMAGE_FOLDER, ".tif")
    outlines = annotations_by_stem(source / OUTLINE_FOLDER)
    mask_files = _files(masks, ".png") if masks else {}
    unpaired = [path for files in (outlines, mask_files) for name, path in files.items() if name not in images]
    readers = [partial(_read, path, outlines.get(name), mask_files.get(name)) for name, path in images.items()]
    problems = [f"{path}: no image of this name in {source / IMAGE_FOLDER}; skipped" for path in unpaired]
    return prepare_dataset(FACTS, readers, split, destination, overwrite=overwrite, problems=problems)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare monuseg`."""
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder with '{IMAGE_FOLDER}' and '{OUTLINE_FOLDER}'")
    parser.add_argument(
        "--masks",
        metavar="DIR",
        type=Path,
        help="masks (PNG) of images without outlines, with numbers of the nuclei, or binary (nuclei that touch merge)",
    )
    add_destination(parser)
    add_split(parser, by="patient")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    split = split_of(options, by="patient")
    return prepare_monuseg(options.source, options.destination, split, masks=options.masks, overwrite=options.overwrite)


def _read(image: Path, outlines: Path | None, mask: Path | None, problems: list[str]) -> Iterator[Sample]:
    """Read one image with the instances of its outlines, or else of its mask."""
    name, label_file = image.stem, outlines or mask
    if label_file is None:
        files = f"{OUTLINE_FOLDER} ({', '.join(SUFFIXES)})"
        raise InputError(f"{image}: no outlines of this name in {files}, and no mask; skipped")
    raster = read_colours(image)
    size = raster.pixels.shape[:2]
    if outlines:
        label = label_of_instances(read_annotations(outlines, image.name), size, outlines, problems)
        label_source = "outlines"
    else:
        label, label_source = instances_of_mask(read_label(label_file), size, label_file, problems)
    folder = OUTLINE_FOLDER if outlines else "masks"
    sources = {f"{IMAGE_FOLDER}/{image.name}": image, f"{folder}/{label_file.name}": label_file}
    group = tcga_patient(name)
    yield Sample(name, raster.pixels, label, group, sources, label_source, notes=raster.notes)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files of a folder with one suffix by their stem, sorted."""
    return by_stem(list_files(folder, [suffix]))
