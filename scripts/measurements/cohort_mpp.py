r"""Measure how `monai-seunet mpp` judges a cohort of two laboratories at 10x, 20x and 40x.

    python scripts/measurements/cohort_mpp.py --all data/monuseg --validation data/tnbc_training \
        --without TCGA-HE-7128 TCGA-HE-7129 TCGA-HE-7130

Images of prepared data sets are reduced by averaging to 0.25, 0.5 and 1 µm per pixel and written as TIFF. A sixth of
the files states wrong µm per pixel (by a factor of 2 or 4), and a sixth states none. The files take turns between the
data sets. The functions of the command measure them; the work folder gets the table of the command and the truth.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK
from monai_seunet.config.models import find_model
from monai_seunet.data.datalist import load_dataset
from monai_seunet.reading.raster import read_image
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.magnification.calibration import load_calibration
from monai_seunet.slides.magnification.cohort import Magnification, measure_cohort, write_magnifications
from monai_seunet.writers.raster import write_raster

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
MPP = (0.25, 0.5, 1.0)
SHARE = 1 / 6  # share of the files that state a wrong value, and of those that state none


class File(NamedTuple):
    """A file of the cohort with its true and its stated µm per pixel."""

    path: Path
    dataset: str
    true: float
    stated: float | None

    @property
    def wrong(self) -> bool:
        """Whether the file states a wrong value."""
        return self.stated is not None and self.stated != self.true


def write_cohort(datasets: Sequence[tuple[str, Sequence[str]]], count: int, folder: Path) -> list[File]:
    """Write the files, which take turns between the data sets, their images and the magnifications."""
    draw = np.random.default_rng(0)
    shuffled = [(name, [images[n] for n in draw.permutation(len(images))]) for name, images in datasets]
    order, part = draw.permutation(count).tolist(), round(SHARE * count)
    mistaken, silent = set(order[:part]), set(order[part : 2 * part])
    files = []
    for number in range(count):
        turn, dataset = divmod(number, len(shuffled))
        name, images = shuffled[dataset]
        image, true = images[turn % len(images)], MPP[(turn + turn // len(images)) % 3]
        wrong = [mpp for mpp in MPP if mpp != true][int(draw.integers(2))]
        stated = wrong if number in mistaken else None if number in silent else true
        pixels = read_image(image).pixels
        step = round(true / MPP[0])
        height, width = (length // step for length in pixels.shape[:2])
        parts = pixels[: height * step, : width * step].reshape(height, step, width, step, 3)
        path = folder / f"{number:02d}_{name}_{Path(image).stem}.tif"
        files.append(File(write_raster(path, parts.mean((1, 3)).round().astype(np.uint8), stated), name, true, stated))
    return files


def images_of(data: Path, sections: Sequence[str], without: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of a data set at 0.25 µm per pixel, and its images."""
    dataset = load_dataset(data)
    if dataset.mpp != MPP[0]:
        raise SystemExit(f"{data}: has {dataset.mpp} µm per pixel, not {MPP[0]}")
    items = [item for section in sections for item in getattr(dataset, section)]
    return dataset.name, [item["image"] for item in items if item.get("group") not in without]


def row(name: str, files: Sequence[File], found: Sequence[Magnification]) -> str:
    """Return a row of the table."""
    pairs = list(zip(files, found, strict=True))
    right = sum(each.objective == 10 / file.true for file, each in pairs)
    held = sum(each.low is not None and each.low <= file.true <= (each.high or 0) for file, each in pairs)
    wrong = [each for file, each in pairs if file.wrong]
    honest = [each for file, each in pairs if file.stated == file.true]
    flagged, falsely = sum("contradicts" in each.flag for each in wrong), sum(bool(each.flag) for each in honest)
    cells = (f"{right} of {len(files)}", f"{held} of {len(files)}", f"{flagged} of {len(wrong)}")
    return f"| {name} | {' | '.join(cells)} | {falsely} of {len(honest)} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, nargs="+", default=[], help="prepared data sets, all images")
    parser.add_argument("--validation", type=Path, nargs="+", default=[], help="prepared data sets, validation images")
    parser.add_argument("--without", nargs="+", default=[], metavar="PATIENT", help="patients that are left out")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--work", type=Path, default=Path("runs/cohort_mpp"))
    args = parser.parse_args()

    shutil.rmtree(args.work / "files", ignore_errors=True)
    (args.work / "files").mkdir(parents=True)
    datasets = [images_of(data, ("training", "validation"), args.without) for data in args.all]
    datasets += [images_of(data, ("validation",), args.without) for data in args.validation]
    files = write_cohort(datasets, args.files, args.work / "files")
    with open(args.work / "truth.csv", "w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows([File._fields, *files])

    overlays = [find_model(args.model, BUNDLE).overlay]
    model = configure_segmenter(bundle=BUNDLE, network=DEFAULT_NETWORK, overlays=overlays)[0].model
    calibration = load_calibration(model, "µm per pixel are to be estimated")
    found = [each for each, _ in measure_cohort(model, calibration, [file.path for file in files])]
    write_magnifications(args.work / "mpp.csv", found)
    print("| files | objective right | truth in the 95 % interval | wrong values flagged | true values flagged |")
    print("|---|---|---|---|---|")
    groups = [(name, [file.dataset == name for file in files]) for name, _ in datasets]
    groups += [(f"{10 / mpp:g}x", [file.true == mpp for file in files]) for mpp in reversed(MPP)]
    for name, chosen in [*groups, ("all", [True] * len(files))]:
        print(row(name, *([one for one, use in zip(each, chosen, strict=True) if use] for each in (files, found))))
    print(f"{np.median([each.seconds for each in found]):.1f} seconds a file (median)")


if __name__ == "__main__":
    main()
