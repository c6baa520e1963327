"""The command `monai-seunet certify`."""

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
from monai_seunet.config.overlays import config_files
from monai_seunet.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `certify`."""
    add_model_option(parser)
    add_network_options(parser)
    parser.add_argument(
        "--data", type=Path, required=True, help="prepared data set, whose validation images are used; image, or folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of certificate.json and .png")
    parser.add_argument("--images", type=int, default=4, help="number of images, from the first one")
    parser.add_argument("--crop", type=int, default=256, help="side of the crops in pixels")
    parser.add_argument("--control-network", default="plain_unet", metavar="OVERLAY", help="network of the control")
    parser.add_argument(
        "--control-checkpoint", type=Path, metavar="FILE", help="weights of the control (default: random)"
    )
    parser.add_argument("--control-width", type=int, metavar="WIDTH", help="width of the control (default: --width)")
    parser.add_argument("--tracking-uri", metavar="URI", help="store of MLflow (default: a SQLite file in --output)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Certify trained weights, and print the result."""
    check_network(options)
    require_paths([options.data])
    require_output_folder(options.output)
    if options.images < 1:
        raise InputError(f"images is {options.images}; give at least 1")
    if options.control_checkpoint is not None and not options.control_checkpoint.expanduser().is_file():
        raise InputError(f"{options.control_checkpoint}: no such checkpoint; correct --control-checkpoint")
    config_files(options.bundle, options.control_network)
    from monai_seunet.certificate.certify import certify
    from monai_seunet.certificate.page import sentences

    options.overlays = network_arguments(options)["overlays"]  # with that of the trained model
    print("\n".join(sentences(certify(options))))
