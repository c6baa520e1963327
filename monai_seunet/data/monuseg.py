"""MoNuSeg as it is downloaded (`Tissue Images/*.tif`, `Annotations/*.xml`) to a prepared data set."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from monai_seunet.data.folder import instances_of_mask
from monai_seunet.data.options import add_destination, add_split, split_of
from monai_seunet.data.polygons import Drawing, draw_instances, read_aperio_xml
from monai_seunet.data.prepare import Facts, Outcome, Sample, Split, as_rgb, prepare_dataset
from monai_seunet.data.reader import read_raster
from monai_seunet.data.split import tcga_patient
from monai_seunet.errors import InputError

IMAGE_FOLDER, XML_FOLDER = "Tissue Images", "Annotations"
FACTS = Facts(
    name="monuseg",
    description="Nuclei of several organs in H&E, 1000x1000 pixels at 40x, from The Cancer Genome Atlas (Kumar 2017)",
    licence="CC BY-NC-SA 4.0",
    mpp=0.25,
)


def prepare_monuseg(
    source: Path, destination: Path, split: Split, *, masks: Path | None = None, overwrite: bool = False
) -> Outcome:
    """Bring the official MoNuSeg folder into the form that training reads, with every nucleus an instance of its own.

    Args:
        source: folder that holds `Tissue Images` and `Annotations`.
        destination: folder to make.
        split: chooses the section of each patient.
        masks: folder of PNG masks for images without XML: numbers of the nuclei, which become instances, or binary,
            whose connected areas become instances, so that nuclei that touch merge there (see `instances_of_mask`).
            `label_source` in `dataset.json` says what each image has: `outlines`, `instances` or `mask`.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: where the folder has not the official layout, and as `prepare_dataset`.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give the one that holds '{IMAGE_FOLDER}' and '{XML_FOLDER}'")
    images = _files(source / IMAGE_FOLDER, ".tif")
    outlines = _files(source / XML_FOLDER, ".xml")
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


def register(commands: argparse._SubParsersAction) -> None:
    """Add `prepare monuseg` to the command line."""
    parser = commands.add_parser("monuseg", help="the official MoNuSeg folder (TIFF and XML)")
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder with '{IMAGE_FOLDER}' and '{XML_FOLDER}'")
    parser.add_argument(
        "--masks",
        metavar="DIR",
        type=Path,
        help="masks (PNG) for the images without XML: numbers of the nuclei, or binary (nuclei that touch merge)",
    )
    add_destination(parser)
    add_split(parser, by="patient")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    split = split_of(options, by="patient")
    return prepare_monuseg(options.source, options.destination, split, masks=options.masks, overwrite=options.overwrite)


def _read(image: Path, xml: Path | None, mask: Path | None, problems: list[str]) -> Iterator[Sample]:
    """One image with the outlines of its XML as instances; without XML, with those of its mask."""
    name, label_file = image.stem, xml or mask
    if label_file is None:
        raise InputError(f"{image}: no XML of this name in {XML_FOLDER}, and no mask; skipped")
    pixels = as_rgb(read_raster(image).pixels, image)
    if xml:
        drawing = draw_instances(read_aperio_xml(xml), pixels.shape[:2], xml)
        problems += _remarks(xml, drawing)
        label, label_source = drawing.label, "outlines"
    else:
        label, label_source = instances_of_mask(read_raster(label_file).pixels, pixels.shape, label_file, problems)
    sources = {f"{IMAGE_FOLDER}/{image.name}": image, f"{XML_FOLDER if xml else 'masks'}/{label_file.name}": label_file}
    yield Sample(name, pixels, label, tcga_patient(name), sources, label_source)


def _remarks(xml: Path, drawing: Drawing) -> list[str]:
    """One line for each way in which outlines are not in the label whole."""
    cases = {
        "run over the edge of the image; clipped": drawing.clipped,
        "lie outside the image or enclose no pixel; skipped": drawing.empty,
        "are covered by others; skipped": drawing.hidden,
    }
    return [
        f"{xml}: {len(found)} outline(s) {what} (number {', '.join(str(index + 1) for index in found[:5])}"
        f"{', ...' if len(found) > 5 else ''} in the file)"
        for what, found in cases.items()
        if found
    ]


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """The files of one kind in a folder by name without suffix, sorted."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected is one with *{suffix} files")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() == suffix}
