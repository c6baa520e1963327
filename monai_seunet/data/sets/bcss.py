"""Preparation of BCSS (Amgad 2019) from its download, with the five classes of the SEUNet paper."""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from monai_seunet.data.options import add_destination, show
from monai_seunet.data.pairs import Layout, pair_files
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, as_label, prepare_dataset, read_colours
from monai_seunet.data.split import check_shares, split_by_group, tcga_patient
from monai_seunet.data.tile_grid import tile_grid
from monai_seunet.reading.raster import read_label
from monai_seunet.utils.errors import InputError

IGNORED = 255
# The grouping of the authors. All other tissues are `others`; pixels outside the annotated region are ignored.
GROUPS = {
    "tumour": ("tumor", "angioinvasion", "dcis"),
    "stroma": ("stroma",),
    "inflammation": ("lymphocytic_infiltrate", "plasma_cells", "other_immune_infiltrate"),
    "necrosis": ("necrosis_or_debris",),
    "others": (),
}
OUTSIDE = "outside_roi"
# The published split of the BCSS authors. The SEUNet paper uses seven institutions that it does not name.
TEST_INSTITUTIONS = ("OL", "LL", "E2", "EW", "GM", "S3")
IMAGE_FOLDERS = ("rgbs_colorNormalized", "rgbs", "images")
FACTS = Facts(
    name="bcss",
    description="Tissue regions of 151 breast cancers in H&E, from The Cancer Genome Atlas (Amgad 2019)",
    licence="CC0 1.0",
    classes=tuple(GROUPS),
    label_kind="classes",
    ignored_label=IGNORED,
)


def prepare_bcss(
    source: Path,
    destination: Path,
    split: Split,
    *,
    codes: Path | None = None,
    tile: int | None = None,
    overwrite: bool = False,
) -> PrepareResult:
    """Prepare the BCSS folder with five classes and 255 outside the annotated region.

    Args:
        source: folder with the RGB images (in `rgbs_colorNormalized`, `rgbs` or `images`) and their `masks`.
        destination: folder to create.
        split: function that chooses the section of each patient.
        codes: table `gtruth_codes.tsv` of the authors; by default in `source` or its folder `meta`.
        tile: side in pixels of the tiles that cover each image; None writes whole images. Tiles without an annotated
            pixel are left out.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: the folder has another layout, or `prepare_dataset` fails.
    """
    images = next((name for name in IMAGE_FOLDERS if (source / name).is_dir()), None)
    if images is None:
        raise InputError(f"{source}: holds none of the folders {', '.join(IMAGE_FOLDERS)}; give the folder of BCSS")
    pairs, problems = pair_files(source, Layout(images, "masks"))
    table = class_table(read_codes(codes or _find_codes(source)))
    readers = [partial(_read, source, name, *pair, table, tile) for name, pair in pairs.items()]
    return prepare_dataset(FACTS, readers, split, destination, overwrite=overwrite, problems=problems)


def read_codes(path: Path) -> dict[str, int]:
    """Read the mask value of every tissue name from `gtruth_codes.tsv`.

    Raises:
        InputError: the file is missing, lacks the columns `label` and `GT_code`, or has other tissues or codes.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            codes = {row["label"]: int(row["GT_code"]) for row in csv.DictReader(file, delimiter="\t")}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table with the columns label and GT_code ({error!r})") from error
    missing = {name for names in GROUPS.values() for name in names} - codes.keys()
    if missing or OUTSIDE not in codes or not all(0 <= code < 256 for code in codes.values()):
        lacks = ", ".join(sorted(missing)) or OUTSIDE
        raise InputError(f"{path}: lacks {lacks}, or has codes above 255; download it again")
    return codes


def class_table(codes: Mapping[str, int]) -> np.ndarray:
    """Return the class (256,) of each mask value: 255 for ignored tissues, -1 for values that `codes` lacks."""
    table = np.full(256, -1, dtype=np.int64)
    class_of = {tissue: index for index, names in enumerate(GROUPS.values()) for tissue in names}
    for tissue, code in codes.items():
        table[code] = IGNORED if tissue == OUTSIDE else class_of.get(tissue, len(GROUPS) - 1)
    return table


def institution_split(institutions: Sequence[str], validation: float, seed: int) -> Split:
    """Return a split with the patients of institutions, the second field of a TCGA name, as test.

    `validation` is the share of the other patients that become validation.
    """

    def split(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        names = set(groups)
        test = {name for name in names if name.split("-")[1:2] and name.split("-")[1] in institutions}
        sections = split_by_group(names - test, validation, seed=seed) | dict.fromkeys(test, "test")
        of_institutions = f"institutions {', '.join(institutions)}"
        return sections, {"by": "patient", "seed": seed, "validation": validation, "test": of_institutions}

    return split


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare bcss`."""
    parser.add_argument("source", metavar="SRC", type=Path, help=f"folder with {IMAGE_FOLDERS[0]} and masks")
    add_destination(parser)
    parser.add_argument("--codes", metavar="FILE", type=Path, help="gtruth_codes.tsv, if it is not in SRC or SRC/meta")
    parser.add_argument("--tile", metavar="PIXELS", type=int, help="side of the tiles to cut (the paper: 512)")
    parser.add_argument(
        "--test-institutions",
        metavar="CODES",
        default=",".join(TEST_INSTITUTIONS),
        help="TCGA codes of the institutions for test (default: %(default)s)",
    )
    parser.add_argument(
        "--validation",
        metavar="SHARE",
        type=float,
        default=0.2,
        help="share of the other patients (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    check_shares(options.validation, test=0.0)
    split = institution_split(options.test_institutions.split(","), options.validation, options.seed)
    return prepare_bcss(
        options.source, options.destination, split, codes=options.codes, tile=options.tile, overwrite=options.overwrite
    )


def _find_codes(source: Path) -> Path:
    paths = (source / "gtruth_codes.tsv", source / "meta" / "gtruth_codes.tsv")
    codes = next((path for path in paths if path.is_file()), None)
    if codes is None:
        raise InputError(f"{paths[0]}: missing, also in meta/; name the file with --codes")
    return codes


def _read(
    source: Path, name: str, image: Path, mask: Path, table: np.ndarray, tile: int | None, _problems: list[str]
) -> Iterator[Sample]:
    raster = read_colours(image)
    pixels = raster.pixels
    label = table[np.minimum(as_label(read_label(mask), pixels.shape, mask), 255)]
    if (label < 0).any():
        raise InputError(f"{mask}: holds values that gtruth_codes.tsv does not name; it is no BCSS mask")
    sources = {path.relative_to(source).as_posix(): path for path in (image, mask)}
    match = re.search(r"MPP-(\d+(?:\.\d+)?)", name)
    mpp = float(match.group(1)) if match else None
    whole = Sample(name, pixels, label, group=tcga_patient(name), sources=sources, mpp=mpp, notes=raster.notes)
    if tile is None:
        yield whole
        return
    if min(label.shape) < tile:
        raise InputError(f"{image}: {list(label.shape)} pixels are less than one tile of {tile}; skipped")
    for area in tile_grid(label.shape, tile, tile):
        if (label[area] != IGNORED).any():
            position = f"y{area[0].start}_x{area[1].start}"
            yield replace(whole, name=f"{name}_{position}", image=pixels[area], label=label[area])
