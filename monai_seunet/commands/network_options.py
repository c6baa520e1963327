"""Command-line options that name a trained network."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.config.texts import read_settings
from monai_seunet.utils.errors import InputError


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a trained network, for `config.read.read_config` and `trained_network`."""
    add_bundle_option(parser)
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"trained model, see `monai-seunet models`; segment, mpp and export take {DEFAULT_MODEL} by default",
    )
    parser.add_argument(
        "--network",
        default=DEFAULT_NETWORK,
        metavar="OVERLAY",
        help="network of your own weights: a file in configs/networks (default: %(default)s)",
    )
    parser.add_argument(
        "--overlay",
        dest="overlays",
        action="append",
        default=[],
        metavar="NAME",
        help="another file in configs, such as data/dsb_fluorescence, which says what images the network takes",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="weights (default: models/model.pt of the bundle)"
    )
    parser.add_argument("--width", type=int, help="width of the trained network (default: that of the config)")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="any other id of the config, such as network_def#group=p4; may be repeated",
    )


def add_slide_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the slides of a cohort, for `require_paths` and `find_cases`."""
    parser.add_argument("slides", nargs="+", type=Path, metavar="INPUT", help="slide, image, folder or CSV of slides")


def add_bundle_option(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the bundle."""
    parser.add_argument(
        "--bundle",
        type=Path,
        default=default_bundle(),
        metavar="DIR",
        help="folder of the bundle with configs/ (default: that of the package)",
    )


def network_arguments(options: argparse.Namespace, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the options, and settings for other ids, as arguments of `read_config` and `configure_segmenter`."""
    arguments = {name: getattr(options, name) for name in ("bundle", "network", "width")}
    chosen = [find_model(options.model, options.bundle).overlay] if options.model else []
    return {
        **arguments,
        "overlays": [*chosen, *options.overlays],
        "settings": {**(settings or {}), **read_settings(options.settings)},
    }


def choose_model(options: argparse.Namespace) -> None:
    """Set the default model if the options name no bundle, network or weights; print a model with its licence.

    Raises:
        InputError: the bundle has no such model.
    """
    named = options.model or options.checkpoint or options.overlays or options.width
    bundle = options.bundle.expanduser().resolve()  # a relative path may name the same bundle
    if not named and (bundle, options.network) == (default_bundle().resolve(), DEFAULT_NETWORK):
        options.model = DEFAULT_MODEL
    if options.model:
        model = find_model(options.model, options.bundle)
        print(f"model {model.name}: {model.task} ({model.terms})")


def check_files(options: argparse.Namespace) -> None:
    """Check that the bundle and the weights exist, before large imports.

    Raises:
        InputError: the bundle or the file is missing.
    """
    bundle: Path = options.bundle.expanduser()
    if not (bundle / "configs").is_dir():
        raise InputError(f"{bundle}: holds no configs/; give the folder of a bundle as --bundle")
    if options.checkpoint is not None and not options.checkpoint.expanduser().is_file():
        raise InputError(f"{options.checkpoint}: no such checkpoint; correct --checkpoint")


def require_paths(paths: Sequence[Path]) -> None:
    """Check that inputs exist.

    Raises:
        InputError: a file or folder is missing.
    """
    for path in paths:
        if not path.expanduser().exists():
            raise InputError(f"{path}: no such file or folder; correct the path")
