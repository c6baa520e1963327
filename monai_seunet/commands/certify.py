"""The command `monai-seunet certify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import add_network_options, check_files, require_paths


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `certify`."""
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
    check_files(options)
    require_paths([options.data])
    from monai_seunet.certificate.certify import certify
    from monai_seunet.certificate.page import sentences

    print("\n".join(sentences(certify(options))))
