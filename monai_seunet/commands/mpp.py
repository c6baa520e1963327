"""The command `monai-seunet mpp`."""

from __future__ import annotations

import argparse
from pathlib import Path

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
from monai_seunet.export.folder import check_target
from monai_seunet.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `mpp`."""
    add_slide_inputs(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("mpp.csv"),
        metavar="FILE",
        help="table to write, with a page of the same name beside it (default: mpp.csv)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing table and its page")
    add_model_option(parser)
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the table and the page; return 1 if a slide cannot be used, else 0."""
    check_network(options, "inference_wsi")
    require_paths(options.slides)
    check_target(options.output, (), options.overwrite)
    page = options.output.with_suffix(".html")
    if page == options.output:
        raise InputError(f"{page}: is the name of the page; give a name that ends in .csv as --output")
    check_target(page, (), options.overwrite)
    require_output_folder(options.output.absolute().parent)
    from monai_seunet.slides.cohort.cases import find_cases, require_readable

    cases = find_cases(options.slides)
    require_readable(cases)
    choose_model(options)
    from monai_seunet.slides.configure import configure_segmenter
    from monai_seunet.slides.magnification.calibrate import describe
    from monai_seunet.slides.magnification.calibration import load_calibration
    from monai_seunet.slides.magnification.cohort import (
        measure_cohort,
        needs_a_look,
        write_magnification_page,
        write_magnifications,
    )

    segmenter, _ = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options))
    calibration = load_calibration(segmenter.model, "µm per pixel are to be estimated")
    found = measure_cohort(segmenter.model, calibration, [case.path for case in cases])
    table = write_magnifications(options.output, [each for each, _ in found])
    write_magnification_page(page, found, describe(calibration))
    print(f"{needs_a_look(found)}: {table}, {page}")
    return int(any(picture is None for _, picture in found))
