"""Preparation of the 2018 Data Science Bowl (BBBC038), by kind of microscopy or as a whole."""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage.color import rgb2gray

from monai_seunet.data.clustering import Look, group_by_look, look_at
from monai_seunet.data.instances import stack_instances
from monai_seunet.data.options import add_destination, add_split, show, split_of
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, prepare_dataset, read_colours, read_grey
from monai_seunet.data.sets.archives import open_source
from monai_seunet.reading.names import PICTURE_SUFFIXES, list_files
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

KINDS = ("fluorescence", "brightfield", "histology")
TRAINING_FOLDER, KINDS_FILE = "stage1_train", "kinds.csv"
DARK = 128  # median of an image; in stage 1, fluorescence has at most 44, and light backgrounds have at least 149
LIGHT = 200
SMEAR_SIDE = 1000  # pixels; smears of stage 1 have 1024 x 1024 pixels


class Case(NamedTuple):
    """One image of the download with the masks of its nuclei, its kind of microscopy and its appearance."""

    name: str
    image: Path
    masks: tuple[Path, ...]
    kind: str
    look: Look


def prepare_dsb2018(
    source: Path,
    destination: Path,
    split: Split,
    *,
    kind: str = "all",
    images: Path | None = None,
    overwrite: bool = False,
) -> PrepareResult:
    """Prepare the official layout `stage1_train/ID/{images,masks}/*.png` for training.

    The masks of an image become one instance label. A pixel in several masks belongs to the smallest nucleus (see
    `stack_instances`), and nuclei without a pixel are reported. Fluorescence and brightfield images have one channel,
    histology has three; with `all`, every image has three channels, so one network can process all. The images are
    crops of larger pictures, and are grouped by their appearance.

    Args:
        source: `stage1_train`, a folder that contains it, or an archive (tar.gz, zip) of one of them. A table
            `kinds.csv` (columns id and kind) in or beside it determines the kinds, or else the pixels do.
        destination: folder to create.
        split: function that chooses the section of each group.
        kind: `fluorescence`, `brightfield`, `histology` or `all`.
        images: table with the columns id and kind, in place of `kinds.csv`; only its images are prepared.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the source has another layout or no image of this kind, or `prepare_dataset` fails.
    """
    facts = Facts(
        name="dsb2018" if kind == "all" else f"dsb2018_{kind}",
        description=f"Nuclei in microscopy ({kind}), 2018 Data Science Bowl, stage 1 training (Caicedo 2019, BBBC038)",
        licence="CC0 1.0",
    )
    tables = (source / KINDS_FILE, source.absolute().parent / KINDS_FILE)
    table = images or next((path for path in tables if path.is_file()), None)
    kinds, problems = read_kinds(table) if table else {}, list[str]()
    with open_source(source, ".png") as folder:
        image_folders = _image_folders(folder)
        if images is not None:
            missing = sorted(set(kinds) - {path.name for path in image_folders})
            problems += [f"{source}: lacks {len(missing)} image(s) of {images}, as {missing[0]}"] if missing else []
            image_folders = [path for path in image_folders if path.name in kinds]
        cases = list(_find_cases(image_folders, kind, kinds, problems))
        if not cases:
            raise InputError("; ".join([*problems[:3], f"{source}: no usable image of kind {kind}"]))
        groups = group_by_look({case.name: case.look for case in cases})
        download = None if source.is_dir() else source
        readers = [partial(_read, case, groups[case.name], kind, download) for case in cases]
        return prepare_dataset(facts, readers, split, destination, overwrite=overwrite, problems=problems)


def judge_kind(image: np.ndarray) -> str:
    """Classify the kind of microscopy of an image (H, W, 3), uint8, by its pixels.

    A grey image with a dark background is fluorescence. A grey image with a light background, or a coloured one of at
    least 1000 x 1000 pixels with a light background, is a brightfield smear. Other coloured images are histology. On a
    subset of 120, 16 and 107 images of known kind, without coloured smears, all results are correct.
    """
    median = float(np.median(image))
    if not (image != image[:, :, :1]).any():
        return "fluorescence" if median < DARK else "brightfield"
    return "brightfield" if median >= LIGHT and min(image.shape[:2]) >= SMEAR_SIDE else "histology"


def read_kinds(path: Path) -> dict[str, str]:
    """Read the kinds of images from a table with the columns id and kind, or raise an InputError."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            kinds = {row["id"]: row["kind"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a table with the columns id and kind ({error!r})") from error
    for name, kind in kinds.items():
        if kind not in KINDS:
            raise InputError(f"{path}: the kind of {name} is '{kind}'; it must be one of {', '.join(KINDS)}")
    return kinds


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare dsb2018`."""
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder or archive that holds {TRAINING_FOLDER}")
    add_destination(parser)
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all", help="microscopy (default: %(default)s)")
    parser.add_argument(
        "--images", type=Path, metavar="TABLE", help="CSV with columns id and kind; only its images are prepared"
    )
    add_split(parser, by="look-alike group")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    split_groups = split_of(options, by="look-alike group")

    def split(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections, description = split_groups(groups)
        return sections, {**description, "groups": dict(Counter(sections.values()))}

    chosen = {"kind": options.kind, "images": options.images}
    return prepare_dsb2018(options.source, options.destination, split, **chosen, overwrite=options.overwrite)


def _find_cases(
    image_folders: Sequence[Path], kind: str, kinds: Mapping[str, str], problems: list[str]
) -> Iterator[Case]:
    """Yield the images of one kind, and append messages about images that cannot be used to `problems`."""
    for folder in progress_bar(image_folders, desc="look", unit="image", leave=False):
        try:
            if kinds.get(folder.name, kind) != kind != "all":
                continue
            images, masks = (_pictures(folder / name) for name in ("images", "masks"))
            if len(images) != 1 or not masks:
                counts = f"{len(images)} image(s) and {len(masks)} masks"
                raise InputError(f"{folder.name}: {counts}; one image and masks needed")
            pixels = read_colours(images[0]).pixels
            image_kind = kinds.get(folder.name) or judge_kind(pixels)
            if kind in (image_kind, "all"):
                yield Case(folder.name, images[0], masks, image_kind, look_at(pixels))
        except InputError as error:
            problems.append(str(error))


def _pictures(folder: Path) -> tuple[Path, ...]:
    return tuple(list_files(folder, PICTURE_SUFFIXES)) if folder.is_dir() else ()


def _image_folders(folder: Path) -> Sequence[Path]:
    """Return the folders that hold one image each."""
    for root in (folder / TRAINING_FOLDER, folder):
        image_folders = sorted({path.parent for name in ("images", "masks") for path in root.glob(f"*/{name}")})
        if image_folders:
            return image_folders
    raise InputError(f"{folder}: holds no {TRAINING_FOLDER}/ID/images; give {TRAINING_FOLDER} or its archive as SRC")


def _read(case: Case, group: str, kind: str, download: Path | None, problems: list[str]) -> Iterator[Sample]:
    raster = read_colours(case.image)
    size = raster.pixels.shape[:2]
    areas = [_area(path, size) for path in case.masks]
    stack = stack_instances(areas, size, case.name)
    for indices, reason in ((stack.empty, "are empty"), (stack.hidden, "are covered by smaller nuclei")):
        if indices:
            names = ", ".join(case.masks[index].name for index in indices[:3])
            problems.append(f"{case.name}: {len(indices)} mask(s) {reason} and not in the label ({names})")
    if download is None:
        sources = {f"{case.name}/images/{case.image.name}": case.image, f"{case.name}/masks": case.masks[0].parent}
    else:
        sources = {download.name: download}
    image = raster.pixels if kind == "all" else _in_channels_of_kind(raster.pixels, case)
    yield Sample(case.name, image, stack.label, group=group, sources=sources, kind=case.kind, notes=raster.notes)


def _in_channels_of_kind(pixels: np.ndarray, case: Case) -> np.ndarray:
    """Return RGB for histology and one channel for other kinds, the luminance of coloured smears."""
    if case.kind == "histology":
        return pixels
    if case.kind == "brightfield" and (pixels != pixels[:, :, :1]).any():
        return np.round(255 * rgb2gray(pixels)).astype(np.uint8)
    return read_grey(case.image).pixels


def _area(path: Path, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the pixels of one nucleus."""
    mask = read_label(path)
    if mask.shape != size:
        name = f"{path.parent.parent.name}/masks/{path.name}"
        raise InputError(f"{name}: the mask has {list(mask.shape[:2])} pixels, its image has {list(size[:2])}")
    rows, columns = np.nonzero(mask)
    return rows, columns
