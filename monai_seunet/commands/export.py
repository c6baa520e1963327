"""The command `monai-seunet export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.commands.network_options import add_network_options, check_files, network_arguments
from monai_seunet.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    add_network_options(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="file to write, .ts or .onnx")
    parser.add_argument("--fused", action="store_true", help="fuse the scale groups to probabilities")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(128, 128), metavar=("H", "W"), help="size of the test image"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file")
    parser.set_defaults(run=lambda options: print(run(options)))


def run(options: argparse.Namespace) -> str:
    """Export a network, and return a sentence about the file."""
    check_files(options)
    if min(options.size) < 1:
        raise InputError(f"size is {options.size[0]} x {options.size[1]}; give a height and a width above 0")
    from monai_seunet.config.read import content, read_config, trained_network
    from monai_seunet.export.write import SUFFIXES, export_network
    from monai_seunet.networks.scale_unet import ScaleUNet

    config = read_config(**network_arguments(options))
    network, _ = trained_network(config, options.checkpoint)
    fusion = content(config, "fusion") if options.fused else None
    difference = export_network(network, options.output, fusion, options.size, options.overwrite)
    checked = "not checked: onnxruntime is not installed" if difference is None else f"differs by {difference:.1e}"
    fused = f" fused by {fusion}" if isinstance(network, ScaleUNet) else ""
    output = f"probabilities{fused}" if options.fused else "logits"
    return f"{options.output}: {type(network).__name__} as {SUFFIXES[options.output.suffix]}, {output}; {checked}"
