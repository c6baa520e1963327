"""MoNuSeg as it is downloaded (`Tissue Images/*.tif`, `Annotations/*.xml`) to a prepared data set."""

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
    """Bring the official MoNuSeg folder into the form that training reads, with every nucleus an instance of its own.

    Args:
        source: folder that holds `Tissue Images` and `Annotations`, with outlines in any form that `read_annotations`
            reads.
        destination: folder to make.
        split: chooses the section of each patient.
        masks: folder of PNG masks for images without outlines: numbers of the nuclei, which become instances, or
            binary, whose connected areas become instances, so that nuclei that touch merge there (see
            `instances_of_mask`).
            `label_source` in `dataset.json` says what each image has: `outlines`, `instances` or `mask`.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: where the folder has not the official layout, and as `prepare_dataset`.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give the one that holds '{IMAGE_FOLDER}' and '{OUTLINE_FOLDER}'")
    images = _files(source / IMAGE_FOLDER, ".tif")
    outlines = annotations_by_stem(source / OUTLINE_FOLDER)
    areas = _files(masks, ".png") if masks else {}
    alone = [path for files in (outlines, areas) for name, path in files.items() if name not in images]
    readers = [partial(_read, path, outlines.get(name), areas.get(name)) for name, path in images.items()]
    return prepare_dataset(
        FACTS,
        readers,
        split,
        destination,
        overwrite=overwrite,
        problems=[f"{path}: no image of this name in {source / IMAGE_FOLDER}; skipped" for path in alone],
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare monuseg`."""
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder with '{IMAGE_FOLDER}' and '{OUTLINE_FOLDER}'")
    parser.add_argument(
        "--masks",
        metavar="DIR",
        type=Path,
        help="masks (PNG) for the images without outlines: numbers of the nuclei, or binary (nuclei that touch merge)",
    )
    add_destination(parser)
    add_split(parser, by="patient")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    split = split_of(options, by="patient")
    return prepare_monuseg(options.source, options.destination, split, masks=options.masks, overwrite=options.overwrite)


def _read(image: Path, outlines: Path | None, mask: Path | None, problems: list[str]) -> Iterator[Sample]:
    """One image with its outlines as instances; without any, with those of its mask."""
    name, label_file = image.stem, outlines or mask
    if label_file is None:
        raise InputError(
            f"{image}: no outlines of this name in {OUTLINE_FOLDER} ({', '.join(SUFFIXES)}), and no mask; skipped"
        )
    raster = read_colours(image)
    size = raster.pixels.shape[:2]
    if outlines:
        label = label_of_instances(read_annotations(outlines, image.name), size, outlines, problems)
        label_source = "outlines"
    else:
        label, label_source = instances_of_mask(read_label(label_file), size, label_file, problems)
    folder = OUTLINE_FOLDER if outlines else "masks"
    sources = {f"{IMAGE_FOLDER}/{image.name}": image, f"{folder}/{label_file.name}": label_file}
    yield Sample(name, raster.pixels, label, tcga_patient(name), sources, label_source, notes=raster.notes)


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of one kind in a folder by name without suffix, sorted."""
    return by_stem(list_files(folder, [suffix]))
