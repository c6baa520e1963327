"""Preparation of any folder of images with masks or outlines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from skimage.measure import label as connected_components

from monai_seunet.data.datalist import LABEL_KINDS
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
from monai_seunet.data.outlines import label_of_classes, label_of_instances
from monai_seunet.data.pairs import Layout, by_name, pair_files
from monai_seunet.data.prepare import (
    Facts,
    PrepareResult,
    Sample,
    Split,
    as_instances,
    as_label,
    prepare_dataset,
    read_colours,
    read_grey,
)
from monai_seunet.data.split import group_of
from monai_seunet.reading.annotations import AnnotationFile, read_annotations, read_coco
from monai_seunet.reading.annotations.formats.coco import CocoFile
from monai_seunet.reading.annotations.names import is_annotation_name
from monai_seunet.reading.colours import GREY_NOTE
from monai_seunet.reading.raster import read_label
from monai_seunet.reading.slide import SCAN, Choice
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True)
class Meaning:
    """Interpretation of the images and masks of a folder.

    Attributes:
        label_kind: kind of the label, `instances` or `classes`, made from mask values or outlines.
        classes: class names in the order of the class indices.
        threshold: smallest mask value of the foreground, as for JPEG masks of 0 and 255; with `instances`, each
            connected area of the foreground is an object. None uses the values unchanged.
        mpp: µm per pixel of all images; None uses the value in each file.
        group: regular expression that finds the patient in a name, see `group_of`.
        grey: whether images keep one channel with 8 or 16 bits, for networks with in_channels 1; else they become RGB.
        choice: image and plane to read, for files that hold several.
    """

    label_kind: str = "classes"
    classes: Sequence[str] = ("background", "nucleus")
    threshold: float | None = None
    mpp: float | None = None
    group: str | None = None
    grey: bool = False
    choice: Choice = SCAN

    @property
    def label_source(self) -> str:
        """Source of the labels in `Sample`: `mask` for the connected areas of a threshold, else empty."""
        return "mask" if self.threshold is not None and self.label_kind == "instances" else ""

    def label_of(self, mask: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]) -> np.ndarray:
        """Convert a mask to a label (H, W).

        Args:
            mask: result (H, W) of `read_label`.
            size: rows and columns of the image.
            path: path of the mask for messages.
            problems: list to which a message about new numbers is appended.

        Raises:
            InputError: the mask has another size than its image or values that are no classes, or is binary although it
                should number objects.
        """
        if self.threshold is not None:
            mask = mask >= self.threshold
            mask = connected_components(mask, connectivity=1) if self.label_kind == "instances" else mask
        if self.label_kind == "instances":
            return as_instances(mask, size, path, problems)
        label = as_label(mask, size, path)
        if label.max() >= len(self.classes):
            raise InputError(
                f"{path}: the mask holds {label.max()}, but there are {len(self.classes)} classes (0 to "
                f"{len(self.classes) - 1}); give --label-kind instances if the values number objects, correct "
                f"--classes, or give --threshold {label.max() // 2 + 1} if high values are foreground"
            )
        return label

    def label_of_outlines(
        self, content: AnnotationFile, size: tuple[int, int], path: Path, problems: list[str]
    ) -> np.ndarray:
        """Convert outlines to a label (H, W).

        Args:
            content: content of the annotation file.
            size: rows and columns of the image.
            path: path of the file for messages.
            problems: list to which messages about incomplete outlines are appended.

        Raises:
            InputError: there is no outline in the image, or none has the name of a class.
        """
        if self.label_kind == "instances":
            return label_of_instances(content, size, path, problems)
        return label_of_classes(content, self.classes, size, path, problems)


def instances_of_mask(
    mask: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]
) -> tuple[np.ndarray, str]:
    """Convert a mask of nuclei to instances (H, W), and return them with their `label_source`.

    A mask of 0 and at most one other value is binary: its connected areas (4 neighbours) become instances (`mask`). The
    values of other masks are the numbers of objects (`instances`).
    Limits: a numbered mask of a single object counts as binary, so separate parts become separate objects.

    Args:
        mask: values (H, W) of the mask.
        size: rows and columns of the image.
        path: path of the mask for messages.
        problems: list to which a message about new numbers is appended.

    Raises:
        InputError: the mask has another size than its image, or its numbers are invalid.
    """
    foreground = mask != 0
    binary = np.unique(mask[foreground]).size <= 1
    if binary:
        return Meaning("instances", threshold=1).label_of(foreground, size, path, problems), "mask"
    return Meaning("instances").label_of(mask, size, path, problems), "instances"


def prepare_folder(
    source: Path,
    destination: Path,
    split: Split,
    *,
    layout: Layout | None = None,
    meaning: Meaning | None = None,
    annotations: Path | None = None,
    overwrite: bool = False,
) -> PrepareResult:
    """Prepare a folder of images with masks or outlines.

    Images and masks may have any format of `read_image`, outlines any format of `read_annotations`.

    Args:
        source: folder of the images and masks.
        destination: folder to create.
        split: function that chooses the section of each group.
        layout: subfolders and endings of names; by default `images` and `masks` with equal names.
        meaning: interpretation of the images and masks; by default class indices of background and nucleus.
        annotations: COCO file with the outlines of all images, in place of masks.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the layout or the meaning does not fit the folder, or `prepare_dataset` fails.
    """
    meaning, layout = meaning or Meaning(), layout or Layout()
    coco = read_coco(annotations) if annotations else None
    if annotations and coco:
        images = by_name(source / layout.images, layout.image_ending)
        pairs = {name: (image, annotations) for name, image in images.items()}
        problems = coco.without_image(images.values(), source / layout.images)
    else:
        pairs, problems = pair_files(source, layout)
    facts = Facts(
        name=source.resolve().name,
        description=f"images and masks of the folder {source.resolve().name}",
        licence="see the source of the images",
        classes=meaning.classes,
        label_kind=meaning.label_kind,
        mpp=meaning.mpp,
    )
    grey_images: list[Path] = []
    readers = [
        partial(_read, source, name, *pair, coco=coco, meaning=meaning, grey_images=grey_images)
        for name, pair in pairs.items()
    ]
    outcome = prepare_dataset(facts, readers, split, destination, overwrite=overwrite, problems=problems)
    if grey_images:
        outcome.problems.append(
            f"{grey_images[0]}: grey, as {len(grey_images)} of the images; written as RGB of three equal channels, "
            "give --grey for a network with in_channels 1"
        )
    return outcome


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare folder`."""
    parser.add_argument("source", metavar="SRC", type=Path, help="folder of images and masks")
    add_destination(parser)
    add_layout(parser)
    parser.add_argument(
        "--annotations", metavar="FILE", type=Path, help="COCO file with the outlines of all images, in place of masks"
    )
    meaning = Meaning()
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        default=",".join(meaning.classes),
        help="class names separated by commas, background first (default: %(default)s)",
    )
    parser.add_argument(
        "--label-kind",
        choices=LABEL_KINDS,
        default=meaning.label_kind,
        help="kind of the labels, made from mask values or outlines (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="smallest mask value of the foreground, e.g. 128 for JPEG; with --label-kind instances each connected "
        "area is an object, so nuclei that touch merge",
    )
    parser.add_argument("--grey", action="store_true", help="write grey images, for in_channels 1 (default: RGB)")
    parser.add_argument("--mpp", type=float, help="µm per pixel, if the files state it wrongly or not at all")
    parser.add_argument("--series", type=int, metavar="N", help="image in files of several, from 0 (default: the scan)")
    parser.add_argument("--plane", type=int, metavar="N", help="plane of volumes, from 0 (default: the middle one)")
    add_group(parser)
    add_split(parser, by="group")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    classes = tuple(name.strip() for name in options.classes.split(","))
    if len(classes) < 2:
        raise InputError(f"--classes is '{options.classes}'; name at least two, background first, as background,gland")
    if options.mpp is not None and options.mpp <= 0:
        raise InputError(f"--mpp is {options.mpp}; it must be µm per pixel, above 0")
    meaning = Meaning(
        label_kind=options.label_kind,
        classes=classes,
        threshold=options.threshold,
        mpp=options.mpp,
        group=group_pattern(options),
        grey=options.grey,
        choice=Choice(options.series, options.plane),
    )
    return prepare_folder(
        options.source,
        options.destination,
        split_of(options, by="group"),
        layout=layout_of(options),
        meaning=meaning,
        annotations=options.annotations,
        overwrite=options.overwrite,
    )


def _read(
    source: Path,
    name: str,
    image: Path,
    mask: Path,
    problems: list[str],
    *,
    coco: CocoFile | None,
    meaning: Meaning,
    grey_images: list[Path],
) -> Iterator[Sample]:
    """Read one image with its label, and append a grey image that becomes RGB to `grey_images`."""
    raster = (read_grey if meaning.grey else read_colours)(image, meaning.choice)
    if GREY_NOTE in raster.notes:
        grey_images.append(image)
    size = raster.pixels.shape[:2]
    if coco or is_annotation_name(mask):
        content = coco.of(image.name) if coco else read_annotations(mask, image.name)
        label, label_source = meaning.label_of_outlines(content, size, mask, problems), "outlines"
    else:
        label, label_source = meaning.label_of(read_label(mask), size, mask, problems), meaning.label_source
    sources = {
        path.relative_to(source).as_posix() if path.is_relative_to(source) else path.name: path
        for path in (image, mask)
    }
    yield Sample(
        name,
        raster.pixels,
        label,
        group=group_of(name, meaning.group),
        sources=sources,
        label_source=label_source,
        mpp=meaning.mpp if meaning.mpp is not None else raster.mpp,
        notes=[note for note in raster.notes if note != GREY_NOTE],
    )
