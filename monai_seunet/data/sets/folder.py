"""Any folder of images with masks or outlines to a prepared data set."""

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
from monai_seunet.data.pairs import Layout, find_named_images, pair_files
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
from monai_seunet.reading.names import image_stem
from monai_seunet.reading.raster import read_label
from monai_seunet.reading.slide import SCAN, Choice
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True)
class Meaning:
    """What images and masks of a folder mean.

    Attributes:
        label_kind: whether mask values are `instances` or `classes`; outlines are numbered, or become their classes.
        classes: names of the classes; the position is the value.
        threshold: masks are foreground from this value up, as in JPEG masks of 0 and 255; as `instances`, each
            connected area of it is an object. None takes the values as they are.
        mpp: µm per pixel of all images; None takes it from each file.
        group: regular expression that finds the patient in a name; None takes TCGA's patient, else the image.
        grey: images stay of one channel, with 8 or 16 bits, for networks with in_channels 1; else they become RGB.
        choice: which image of files with several is meant.
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
        """Where labels come from, see `Sample`: `mask` for the connected areas of a threshold."""
        return "mask" if self.threshold is not None and self.label_kind == "instances" else ""

    def label_of(self, mask: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]) -> np.ndarray:
        """The label (H, W) that a mask means.

        Args:
            mask: (H, W), as `read_label` gives it.
            size: rows and columns of the image.
            path: of the mask, for messages.
            problems: gets a line where areas of one number became objects of their own.

        Raises:
            InputError: where the mask has another size than its image or values without a meaning, or is
                binary where it should number objects.
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
                f"{len(self.classes) - 1}); give --label-kind instances where the values number objects, correct "
                f"--classes, or give --threshold {label.max() // 2 + 1} where high values are foreground"
            )
        return label

    def label_of_outlines(
        self, found: AnnotationFile, size: tuple[int, int], path: Path, problems: list[str]
    ) -> np.ndarray:
        """The label (H, W) that outlines mean.

        Args:
            found: what was read.
            size: rows and columns of the image.
            path: of the outlines, for messages.
            problems: gets one line for everything that is not in the label whole.

        Raises:
            InputError: where there is no outline, or none of a class.
        """
        if self.label_kind == "instances":
            return label_of_instances(found, size, path, problems)
        return label_of_classes(found, self.classes, size, path, problems)


def instances_of_mask(
    mask: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]
) -> tuple[np.ndarray, str]:
    """The instances (H, W) of a mask of nuclei, and their `label_source`.

    A mask of 0 and at most one other value is binary: its connected areas (4 neighbours) become instances, `mask`. The
    values of other masks are the numbers of the objects, `instances`.
    Limits: a numbered mask of a single object is taken as binary, so that its parts become several.

    Args:
        mask: as it was read.
        size: rows and columns of the image.
        path: of the mask, for messages.
        problems: gets a line where areas of one number became objects of their own.

    Raises:
        InputError: as `Meaning.label_of`.
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
    """Bring a folder of images with masks or outlines into the form for training.

    Images and masks may be of all formats that `read_image` reads, outlines of all that `read_annotations` reads.

    Args:
        source: the folder.
        destination: folder to make.
        split: chooses the section of each group.
        layout: where images and masks are; by default in `images` and `masks`, under the same names.
        meaning: what their values mean; by default class indices of background and nucleus.
        annotations: a file of COCO with the outlines of all images, in place of masks.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: where layout or meaning do not fit the folder, and as `prepare_dataset`.
    """
    meaning, layout = meaning or Meaning(), layout or Layout()
    coco = read_coco(annotations) if annotations else None
    if annotations and coco:
        pairs = {name: (image, annotations) for name, image in find_named_images(source, layout).items()}
        problems = _without_image(coco, [image for image, _ in pairs.values()], source / layout.images)
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
    tripled: list[Path] = []
    readers = [partial(_read, source, name, *pair, coco, meaning, tripled) for name, pair in pairs.items()]
    outcome = prepare_dataset(facts, readers, split, destination, overwrite=overwrite, problems=problems)
    if tripled:
        outcome.problems.append(
            f"{tripled[0]}: grey, as {len(tripled)} of the images; written as RGB of three equal channels, give --grey "
            "for a network with in_channels 1"
        )
    return outcome


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare folder`."""
    parser.add_argument("source", metavar="SRC", type=Path, help="the folder")
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
        help="what mask values are and outlines become (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="masks are foreground from this value up, e.g. 128 for JPEG; with --label-kind instances each connected "
        "area is an object, so that nuclei that touch are one",
    )
    parser.add_argument("--grey", action="store_true", help="keep images of one channel, for in_channels 1; else RGB")
    parser.add_argument("--mpp", type=float, help="µm per pixel, if the files do not say it or say it wrongly")
    parser.add_argument("--series", type=int, metavar="N", help="image of files with several, from 0; else the scan")
    parser.add_argument("--plane", type=int, metavar="N", help="plane of volumes, from 0; else the middle one")
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
    split = split_of(options, by="group")
    return prepare_folder(
        options.source,
        options.destination,
        split,
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
    coco: CocoFile | None,
    meaning: Meaning,
    tripled: list[Path],
    problems: list[str],
) -> Iterator[Sample]:
    """One image with its label; a grey one that becomes RGB is listed."""
    raster = (read_grey if meaning.grey else read_colours)(image, meaning.choice)
    if GREY_NOTE in raster.notes:
        tripled.append(image)
    size = raster.pixels.shape[:2]
    if coco or is_annotation_name(mask):
        found = coco.of(image.name) if coco else read_annotations(mask, image.name)
        label, label_source = meaning.label_of_outlines(found, size, mask, problems), "outlines"
    else:
        label, label_source = meaning.label_of(read_label(mask), size, mask, problems), meaning.label_source
    sources = {
        path.relative_to(source).as_posix() if path.is_relative_to(source) else path.name: path
        for path in (image, mask)
    }
    mpp = meaning.mpp if meaning.mpp is not None else raster.mpp
    notes = [note for note in raster.notes if note != GREY_NOTE]
    group = group_of(name, meaning.group)
    yield Sample(name, raster.pixels, label, group, sources, label_source, mpp, notes=notes)


def _without_image(coco: CocoFile, images: Sequence[Path], folder: Path) -> list[str]:
    """A line on the images of a COCO file that the folder has not."""
    missing = sorted(coco.images.keys() - {image_stem(image) for image in images})
    if not missing:
        return []
    return [f"{coco.where}: {len(missing)} of its images are not in {folder} (the first is '{missing[0]}'); skipped"]
