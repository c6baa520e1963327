"""The command `monai-seunet mpp`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import (
    add_network_options,
    add_slide_inputs,
    check_files,
    choose_model,
    network_arguments,
    require_paths,
)


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
    add_network_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the table and the page; return 1 if a slide cannot be used, else 0."""
    check_files(options)
    require_paths(options.slides)
    choose_model(options)
    from monai_seunet.slides.cohort.cases import find_cases
    from monai_seunet.slides.configure import configure_segmenter
    from monai_seunet.slides.magnification.calibrate import describe
    from monai_seunet.slides.magnification.calibration import load_calibration
    from monai_seunet.slides.magnification.cohort import (
        measure_cohort,
        write_magnification_page,
        write_magnifications,
    )

    cases = find_cases(options.slides)
    segmenter, _ = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options))
    calibration = load_calibration(segmenter.model, "µm per pixel are to be estimated")
    found = measure_cohort(segmenter.model, calibration, [case.path for case in cases])
    table = write_magnifications(options.output, [each for each, _ in found])
    page = write_magnification_page(table.with_suffix(".html"), found, describe(calibration))
    print(f"{sum(bool(each.flag) for each, _ in found)} of {len(found)} slides need a look: {table}, {page}")
    return int(any(picture is None for _, picture in found))
