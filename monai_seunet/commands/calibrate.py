"""The command `monai-seunet calibrate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import (
    add_model_option,
    add_network_options,
    check_network,
    network_arguments,
    require_output_folder,
    require_paths,
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate`."""
    add_model_option(parser)
    add_network_options(parser)
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="DIR", help="prepared data sets of known µm per pixel"
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write (default: NAME_mpp.json beside the weights NAME.pt)"
    )
    parser.add_argument(
        "--test", type=Path, nargs="+", default=[], metavar="DIR", help="data sets of another laboratory, only judged"
    )
    parser.add_argument("--without", nargs="+", default=[], metavar="PATIENT", help="patients that are left out")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Calibrate the estimate, and print its errors."""
    check_network(options, "inference_wsi")
    require_paths([*options.data, *options.test])
    if options.output:
        require_output_folder(options.output.absolute().parent)
    from monai_seunet.data.datalist import load_dataset

    for path in [*options.data, *options.test]:
        load_dataset(path)
    from monai_seunet.slides.configure import configure_segmenter
    from monai_seunet.slides.magnification.calibrate import calibrate_on, check_patients, describe, judge_on

    check_patients([*options.data, *options.test], options.without)
    segmenter, checkpoint = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options))
    calibration = calibrate_on(segmenter.model, options.data, options.without)
    file = calibration.save(options.output or checkpoint.with_name(f"{checkpoint.stem}_mpp.json"))
    print(f"{file}: {describe(calibration)}")
    if options.test:
        print(judge_on(segmenter.model, calibration, options.test, options.without))
