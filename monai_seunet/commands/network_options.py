"""Command-line options that name a trained network."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.config.numbers import require_number
from monai_seunet.config.overlays import config_files, has_id, read_ids, unknown_id
from monai_seunet.config.texts import is_meant_for_monai, read_settings
from monai_seunet.native.strategies import STRATEGIES
from monai_seunet.utils.errors import InputError


def add_model_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a trained model; `add_network_options` adds the other options of a network."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"trained model, see `monai-seunet models`; segment, mpp and export take {DEFAULT_MODEL} by default",
    )


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name weights of the user, for `config.read.read_config` and `trained_network`."""
    own = parser.add_argument_group("network and weights of your own")
    add_bundle_option(own)
    own.add_argument(
        "--network",
        default=DEFAULT_NETWORK,
        metavar="OVERLAY",
        help="network of your own weights: a file in configs/networks (default: %(default)s)",
    )
    own.add_argument(
        "--overlay",
        dest="overlays",
        action="append",
        default=[],
        metavar="NAME",
        help="another file in configs, such as data/dsb_fluorescence, which says what images the network takes",
    )
    own.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights (default: models/model.pt of the bundle)")
    own.add_argument("--width", type=int, help="width of the trained network (default: that of the config)")
    own.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="any other id of the config, such as stain=false; may be repeated",
    )


def add_slide_inputs(parser: argparse.ArgumentParser) -> None:
    """Add the slides of a cohort, for `require_paths` and `find_cases`."""
    parser.add_argument(
        "slides",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="image, slide, folder, or table (CSV) of slides",
    )


def add_bundle_option(parser: argparse._ActionsContainer) -> None:
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


def named_model(options: argparse.Namespace) -> str | None:
    """Return the trained model of the options: the default if they name no model, bundle, network or weights."""
    named = options.model or options.checkpoint or options.overlays or options.width
    bundle = options.bundle.expanduser().resolve()  # a relative path may name the same bundle
    if not named and (bundle, options.network) == (default_bundle().resolve(), DEFAULT_NETWORK):
        return DEFAULT_MODEL
    return options.model or None


def choose_model(options: argparse.Namespace) -> None:
    """Set the default model if the options name nothing else; print a model with its licence.

    Raises:
        InputError: the bundle has no such model.
    """
    options.model = named_model(options)
    if options.model:
        model = find_model(options.model, options.bundle)
        print(f"model {model.name}: {model.task} ({model.terms})")


def check_network(options: argparse.Namespace, job: str = "inference") -> None:
    """Check model, overlays, settings and weights by the files of the bundle, before large imports.

    Args:
        options: options of `add_model_option` and `add_network_options`.
        job: name of the file in `configs` for which the settings are.

    Raises:
        InputError: a file is missing, a model or an id is unknown, or the value of a number is none.
    """
    bundle: Path = options.bundle.expanduser()
    if not (bundle / "configs").is_dir():
        raise InputError(f"{bundle}: holds no configs/; give the folder of a bundle as --bundle")
    if options.checkpoint is not None and not options.checkpoint.expanduser().is_file():
        raise InputError(f"{options.checkpoint}: no such checkpoint; correct --checkpoint")
    chosen = network_arguments(options)
    content = read_ids(config_files(chosen["bundle"], chosen["network"], chosen["overlays"], job))
    for name, value in chosen["settings"].items():
        if not has_id(content, name):
            raise unknown_id(content, name)
        require_number(content, name, value)
    fusion = chosen["settings"].get("fusion")
    if isinstance(fusion, str) and not is_meant_for_monai(fusion) and fusion not in STRATEGIES:
        raise InputError(f"fusion is '{fusion}'; choose one of {', '.join(STRATEGIES)}")


def require_paths(paths: Sequence[Path]) -> None:
    """Check that inputs exist.

    Raises:
        InputError: a file or folder is missing.
    """
    for path in paths:
        try:
            found = path.expanduser().exists()
        except PermissionError as error:
            raise InputError(f"{path}: you may not look there; correct the path or its permissions") from error
        if not found:
            raise InputError(f"{path}: no such file or folder; correct the path")


def require_output_folder(path: Path) -> None:
    """Check that results can be written to a folder, which is not made here.

    Raises:
        InputError: it is a file, or the user may not write there.
    """
    path = path.expanduser().absolute()
    # unlike Path.exists, os.path.exists does not fail below a folder that the user may not enter
    existing = next(parent for parent in (path, *path.parents) if os.path.exists(parent))
    if not existing.is_dir():
        raise InputError(f"{existing}: is a file; give a folder for the results")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{existing}: you may not write there; give another folder for the results")
