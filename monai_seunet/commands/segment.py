"""The command `monai-seunet segment`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from monai_seunet.commands.network_options import (
    add_network_options,
    add_slide_inputs,
    check_files,
    choose_model,
    network_arguments,
    require_paths,
)
from monai_seunet.slides.choices import LABELS_AT, OBJECT_TYPES
from monai_seunet.slides.outputs.formats import FILES, check_formats
from monai_seunet.utils.errors import InputError

# options of the command that are also ids of `inference_wsi.json`
IDS: tuple[str, ...] = (
    *("mpp", "power", "series", "plane", "groups", "region", "tissue", "window", "workers"),
    *("formats", "labels_at", "object_type"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `segment`."""
    add_slide_inputs(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("segmented"),
        metavar="DIR",
        help="folder of all results (default: segmented)",
    )
    add_network_options(parser)
    parser.add_argument(
        "--mpp", type=_mpp, help="µm per pixel of the slides (default: those of the files), or auto to estimate it"
    )
    parser.add_argument("--power", type=float, help="magnification of the objective, such as 40, in place of --mpp")
    parser.add_argument(
        "--groups",
        metavar="NUMBERS",
        type=_groups,
        help="scale groups to run, such as 1,2,3, or auto for the cheapest sufficient groups",
    )
    parser.add_argument(
        "--region", metavar="X,Y,WIDTH,HEIGHT", type=_numbers, help="part of a slide, in pixels of the slide"
    )
    parser.add_argument(
        "--formats",
        metavar="NAMES",
        type=_names,
        action="extend",
        help=f"results to write in place of the usual ones, such as geojson,csv; there are {', '.join(FILES)}",
    )
    parser.add_argument(
        "--object-type",
        choices=OBJECT_TYPES,
        help="type of the nuclei in GeoJSON: detection (default), or cell for Xenium Ranger and Space Ranger",
    )
    parser.add_argument("--labels-at", choices=LABELS_AT, help="pixels of label images (default: image)")
    parser.add_argument("--tissue", choices=("otsu", "all"), help="part to segment: tissue (otsu), or the whole slide")
    parser.add_argument("--window", type=int, help="side of the windows in pixels")
    parser.add_argument("--series", type=int, metavar="N", help="number of the image, from 0 (default: the scan)")
    parser.add_argument("--plane", type=int, metavar="N", help="number of the plane, from 0 (default: the middle)")
    parser.add_argument("--workers", type=int, help="number of processes that find nuclei beside the network")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="address of a Dask cluster, such as tcp://host:8786")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a result has warnings")
    parser.set_defaults(run=run)


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}'; give whole numbers with commas between them") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _mpp(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}'; give a number of µm per pixel, or auto") from None


def _groups(text: str) -> list[int] | str:
    return text if text == "auto" else _numbers(text)


def run(options: argparse.Namespace) -> int:
    """Segment slides; return 1 if a slide failed, or has warnings in the strict mode, else 0."""
    check_files(options)
    if options.output.is_file():
        raise InputError(f"{options.output}: is a file; give a folder as --output")
    if options.formats is not None:
        check_formats(options.formats)  # before large imports
    if not options.scheduler:  # workers of a cluster may have other folders than this machine
        require_paths(options.slides)
    choose_model(options)
    from monai_seunet.slides.cohort.segment import segment_cohort
    from monai_seunet.slides.configure import configure_segmenter

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    given = {name: getattr(options, name) for name in IDS if getattr(options, name) is not None}
    segmenter, _ = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options, given))
    outcomes = segment_cohort(segmenter, options.slides, options.output, options.scheduler, options.overwrite)
    warned = sum(bool(outcome.warnings) for outcome in outcomes) if options.strict else 0
    if warned:
        print(f"error: {warned} slide(s) with warnings (--strict)", file=sys.stderr)
    return int(warned > 0 or any(outcome.result is None for outcome in outcomes))
