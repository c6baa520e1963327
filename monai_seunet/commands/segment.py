"""The command `monai-seunet segment`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_seunet.commands.network_options import (
    add_model_option,
    add_network_options,
    add_slide_inputs,
    check_network,
    choose_model,
    network_arguments,
    require_output_folder,
    require_paths,
)
from monai_seunet.slides.choices import LABELS_AT, OBJECT_TYPES, TISSUE_METHODS
from monai_seunet.slides.outputs.formats import FILES, check_formats
from monai_seunet.utils.errors import InputError, is_installed, missing
from monai_seunet.utils.parsing import count
from monai_seunet.utils.progress import show_messages

if TYPE_CHECKING:
    from monai_seunet.slides.cohort.cases import Case

# options of the command that are also ids of `inference_wsi.json`
IDS: tuple[str, ...] = (
    *("mpp", "power", "series", "plane", "groups", "region", "tissue", "window", "workers"),
    *("formats", "labels_at", "object_type"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `segment`: the usual ones first, the others in groups."""
    add_slide_inputs(parser)
    add_model_option(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("segmented"),
        metavar="DIR",
        help="folder of all results (default: segmented)",
    )
    parser.add_argument(
        "--formats",
        metavar="NAMES",
        type=_names,
        action="extend",
        help="results to write in place of the usual ones, with commas and without spaces, such as geojson,csv; "
        f"there are {', '.join(FILES)}",
    )
    parser.add_argument(
        "--mpp", type=_mpp, help="µm per pixel of the images (default: those of the files), or auto to estimate it"
    )
    parser.add_argument("--power", type=float, help="magnification of the objective, such as 40, in place of --mpp")
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a result has warnings")
    part = parser.add_argument_group("part of an image")
    part.add_argument(
        "--region", metavar="X,Y,WIDTH,HEIGHT", type=_numbers, help="part of an image, in pixels of the image"
    )
    part.add_argument("--tissue", choices=TISSUE_METHODS, help="part to segment: tissue (otsu), or the whole image")
    part.add_argument(
        "--series", type=int, metavar="N", help="number of the image in a file, from 0 (default: the scan)"
    )
    part.add_argument("--plane", type=int, metavar="N", help="number of the plane, from 0 (default: the middle)")
    results = parser.add_argument_group("results")
    results.add_argument(
        "--object-type",
        choices=OBJECT_TYPES,
        help="type of the nuclei in GeoJSON: detection (default), or cell for Xenium Ranger and Space Ranger",
    )
    results.add_argument("--labels-at", choices=LABELS_AT, help="pixels of label images (default: image)")
    machine = parser.add_argument_group("time, memory and machines")
    machine.add_argument(
        "--groups",
        metavar="NUMBERS",
        type=_groups,
        help="scale groups to run, such as 1,2,3, or auto for the cheapest sufficient groups",
    )
    machine.add_argument("--window", type=int, help="side of the windows in pixels")
    machine.add_argument("--workers", type=int, help="number of processes that find nuclei beside the network")
    machine.add_argument("--scheduler", metavar="ADDRESS", help="address of a Dask cluster, such as tcp://host:8786")
    add_network_options(parser)
    parser.set_defaults(
        run=run, refuse=_refuse_spaces, kept="finished images are kept; the same command again goes on from here"
    )


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}'; give whole numbers with commas between them and without spaces"
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _mpp(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}'; give a number of µm per pixel, or auto") from None


def _groups(text: str) -> list[int] | str:
    return text if text == "auto" else _numbers(text)


def run(options: argparse.Namespace) -> int:
    """Segment images; return 1 if an image failed, or has warnings in the strict mode, else 0."""
    given = {name: getattr(options, name) for name in IDS if getattr(options, name) is not None}
    cases = _check(options, given)
    choose_model(options)
    from monai_seunet.slides.cohort.segment import segment_cases
    from monai_seunet.slides.configure import configure_segmenter

    segmenter, _ = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options, given))
    outcomes = segment_cases(segmenter, cases, options.output, options.scheduler, options.overwrite)
    warned = sum(bool(outcome.warnings) for outcome in outcomes) if options.strict else 0
    if warned:
        print(f"error: {count(warned, 'image')} with warnings (--strict)", file=sys.stderr)
    return int(warned > 0 or any(outcome.result is None for outcome in outcomes))


def _check(options: argparse.Namespace, given: Mapping[str, Any]) -> list[Case]:
    """Return the images, after all checks that need neither the network nor their pixels.

    Args:
        options: options of the command.
        given: options that are ids of the config.
    """
    _refuse_spaces(options.slides)
    check_network(options, "inference_wsi")
    if options.formats is not None:
        if not options.formats:  # nothing would be written
            raise InputError("--formats names no format; give one, such as csv")
        check_formats(options.formats)
    if options.scheduler and not is_installed("distributed"):
        raise missing("a scheduler needs dask and distributed; one of them", "cluster")
    if not options.scheduler:  # workers of a cluster may have other folders than this machine
        require_paths(options.slides)
    if options.workers is not None and options.workers < 0:
        raise InputError(f"workers is {options.workers}; give at least 0")
    from monai_seunet.slides.cohort.cases import find_cases, require_readable
    from monai_seunet.slides.cohort.overview import check_overview
    from monai_seunet.slides.options import SlideOptions

    show_messages()
    SlideOptions(**{field.name: given[field.name] for field in fields(SlideOptions) if field.name in given})
    cases = find_cases(options.slides)
    if not options.scheduler:
        require_readable(cases)
    require_output_folder(options.output)
    check_overview(options.output)
    return cases


def _refuse_spaces(words: Iterable[str | Path]) -> None:
    """Refuse values of an option after a space, as in `--formats geojson csv`, which argparse takes for inputs."""
    for word in map(str, words):
        value = word.strip(",")
        if (value in FILES or value.isdecimal()) and not Path(word).exists():
            example = "--formats geojson,csv" if value in FILES else "--groups 1,2"
            raise InputError(
                f"{word}: stands after a space, so it is taken for an input; write the values of an option with commas "
                f"and without spaces, as {example}"
            )
