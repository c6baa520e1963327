"""The command `monai-seunet certify`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import add_network_options, check_files, require_paths


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `certify`."""
    add_network_options(parser)
    parser.add_argument(
        "--data", type=Path, required=True, help="a prepared data set (its validation images), or an image or a folder"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="for certificate.json and .png")
    parser.add_argument("--images", type=int, default=4, help="use this many of the first images")
    parser.add_argument("--crop", type=int, default=256, help="side of the pieces, in pixels")
    parser.add_argument("--control-network", default="plain_unet", metavar="OVERLAY", help="network of the control")
    parser.add_argument("--control-checkpoint", type=Path, metavar="FILE", help="its weights; else random ones")
    parser.add_argument("--control-width", type=int, metavar="WIDTH", help="its width; else as --width")
    parser.add_argument("--tracking-uri", metavar="URI", help="of MLflow; a SQLite file in the output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Certify trained weights, and print what was found."""
    check_files(options)
    require_paths([options.data])
    from monai_seunet.certificate.certify import certify
    from monai_seunet.certificate.page import sentences

    print("\n".join(sentences(certify(options))))
