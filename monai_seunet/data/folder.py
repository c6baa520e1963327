"""Any folder of images and masks to a prepared data set."""

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
    split_of,
)
from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.data.prepare import (
    Facts,
    Outcome,
    Sample,
    Split,
    as_grey,
    as_instances,
    as_label,
    as_rgb,
    prepare_dataset,
)
from monai_seunet.data.reader import read_raster
from monai_seunet.data.split import group_of
from monai_seunet.errors import InputError


@dataclass(frozen=True)
class Meaning:
    """What images and masks of a folder mean.

    Attributes:
        label_kind: whether mask values are `instances` or `classes`.
        classes: names of the classes; the position is the value.
        threshold: masks are foreground from this value up, as in JPEG masks of 0 and 255; as `instances`, each
            connected area of it is an object. None takes the values as they are.
        mpp: µm per pixel of all images; None takes it from each file.
        group: regular expression that finds the patient in a name; None takes TCGA's patient, else the image.
        grey: images stay of one channel, with 8 or 16 bits, for networks with in_channels 1; else they become RGB.
    """

    label_kind: str = "classes"
    classes: Sequence[str] = ("background", "nucleus")
    threshold: float | None = None
    mpp: float | None = None
    group: str | None = None
    grey: bool = False

    @property
    def label_source(self) -> str:
        """Where labels come from, see `Sample`: `mask` for the connected areas of a threshold."""
        return "mask" if self.threshold is not None and self.label_kind == "instances" else ""

    def label_of(self, mask: np.ndarray, size: tuple[int, ...], path: Path, problems: list[str]) -> np.ndarray:
        """The label (H, W) that a mask means.

        Args:
            mask: as it was read.
            size: rows and columns of the image.
            path: of the mask, for messages.
            problems: gets a line where areas of one number became objects of their own.

        Raises:
            InputError: where the mask has colours, another size than its image or values without a meaning, or is
                binary where it should number objects.
        """
        if mask.ndim == 3:
            if (mask != mask[:, :, :1]).any():
                raise InputError(f"{path}: a mask in colours; save it with one channel of class or object numbers")
            mask = mask[:, :, 0]
        if self.threshold is not None:
            mask = mask >= self.threshold
            mask = connected_components(mask, connectivity=1) if self.label_kind == "instances" else mask
        if self.label_kind == "instances":
            return as_instances(mask, size, path, problems)
        label = as_label(mask, size, path)
        if label.max() >= len(self.classes):
            raise InputError(
                f"{path}: the mask holds {label.max()}, but there are {len(self.classes)} classes (0 to "
                f"{len(self.classes) - 1}); correct --classes, give --threshold {label.max() // 2 + 1}, or "
                "--label-kind instances"
            )
        return label


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
    overwrite: bool = False,
) -> Outcome:
    """Bring a folder of images and masks, of all formats that `read_raster` reads, into the form for training.

    Args:
        source: the folder.
        destination: folder to make.
        split: chooses the section of each group.
        layout: where images and masks are; by default in `images` and `masks`, under the same names.
        meaning: what their values mean; by default class indices of background and nucleus.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: where layout or meaning do not fit the folder, and as `prepare_dataset`.
    """
    meaning = meaning or Meaning()
    pairs, problems = pair_files(source, layout or Layout())
    facts = Facts(
        name=source.resolve().name,
        description=f"images and masks of the folder {source.resolve().name}",
        licence="see the source of the images",
        classes=meaning.classes,
        label_kind=meaning.label_kind,
        mpp=meaning.mpp,
    )
    tripled: list[Path] = []
    readers = [partial(_read, source, name, *pair, meaning, tripled) for name, pair in pairs.items()]
    outcome = prepare_dataset(facts, readers, split, destination, overwrite=overwrite, problems=problems)
    if tripled:
        outcome.problems.append(
            f"{tripled[0]}: grey, as {len(tripled)} of the images; written as RGB of three equal channels, give --grey "
            "for a network with in_channels 1"
        )
    return outcome


def register(commands: argparse._SubParsersAction) -> None:
    """Add `prepare folder` to the command line."""
    parser = commands.add_parser("folder", help="any folder of images and masks (PNG, TIFF, JPEG, NIfTI, NRRD, MHA)")
    parser.add_argument("source", metavar="SRC", type=Path, help="the folder")
    add_destination(parser)
    add_layout(parser)
    meaning = Meaning()
    parser.add_argument(
        "--classes",
        metavar="NAMES",
        default=",".join(meaning.classes),
        help="class names separated by commas, background first (default: %(default)s)",
    )
    parser.add_argument(
        "--label-kind", choices=LABEL_KINDS, default=meaning.label_kind, help="mask values (default: %(default)s)"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        help="masks are foreground from this value up, e.g. 128 for JPEG; with --label-kind instances each connected "
        "area is an object, so that nuclei that touch are one",
    )
    parser.add_argument("--grey", action="store_true", help="keep images of one channel, for in_channels 1; else RGB")
    parser.add_argument("--mpp", type=float, help="µm per pixel, if the files do not say it or say it wrongly")
    add_group(parser)
    add_split(parser, by="group")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    classes = tuple(name.strip() for name in options.classes.split(","))
    if len(classes) < 2:
        raise InputError(f"--classes is '{options.classes}'; name at least two, background first, as background,gland")
    if options.mpp is not None and options.mpp <= 0:
        raise InputError(f"--mpp is {options.mpp}; it must be µm per pixel, above 0")
    meaning = Meaning(options.label_kind, classes, options.threshold, options.mpp, group_pattern(options), options.grey)
    split = split_of(options, by="group")
    return prepare_folder(
        options.source,
        options.destination,
        split,
        layout=layout_of(options),
        meaning=meaning,
        overwrite=options.overwrite,
    )


def _read(
    source: Path, name: str, image: Path, mask: Path, meaning: Meaning, tripled: list[Path], problems: list[str]
) -> Iterator[Sample]:
    """One image with its label; a grey one that becomes RGB is listed."""
    pixels, file_mpp = read_raster(image)
    if pixels.ndim == 2 and not meaning.grey:
        tripled.append(image)
    label = meaning.label_of(read_raster(mask).pixels, pixels.shape, mask, problems)
    sources = {path.relative_to(source).as_posix(): path for path in (image, mask)}
    mpp = meaning.mpp if meaning.mpp is not None else file_mpp
    picture = as_grey(pixels, image) if meaning.grey else as_rgb(pixels, image)
    yield Sample(name, picture, label, group_of(name, meaning.group), sources, meaning.label_source, mpp)
