"""The command `monai-seunet export`."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from monai_seunet.commands.network_options import (
    add_model_option,
    add_network_options,
    check_network,
    choose_model,
    named_model,
    network_arguments,
    require_output_folder,
)
from monai_seunet.export.folder import BIOIMAGEIO, INSTANSEG, check_target
from monai_seunet.export.model_card import ModelCard, read_card
from monai_seunet.utils.errors import InputError, is_installed, missing
from monai_seunet.utils.progress import show_messages

SIZE = (128, 128)  # of the test image, in pixels

logger = logging.getLogger(__name__)


class Format(NamedTuple):
    """A format of exported networks.

    Attributes:
        text: content of the file or folder, for the help.
        write: function of the options that writes it and returns a sentence about it.
        options: names of the options that this format takes and others lack.
        suffixes: endings of files of this format; empty for a format that is a folder.
        files: names of all files of the folder, see `export.folder.replaced`; empty for a file.
        packages: packages that writing needs and a plain installation lacks.
        extra: extra of `monai-seunet` that installs them.
        job: file in `configs` that describes the network.
    """

    text: str
    write: Callable[[argparse.Namespace], str]
    options: tuple[str, ...]
    suffixes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    extra: str = ""
    job: str = "inference"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    add_model_option(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PATH",
        help="file or folder to write (default: model and format in the current folder, such as nuclei_he_free.onnx)",
    )
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        help=f"{'; '.join(f'{name}: {form.text}' for name, form in FORMATS.items())} (default: by the ending of PATH, "
        f"or {DEFAULT_FORMAT})",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what PATH holds")
    parser.add_argument("--fused", action="store_true", help="fuse the scale groups of a file to probabilities")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="size of the test image of a file (default: 128 128)"
    )
    parser.add_argument(
        "--licence",
        default="",
        help="licence of the weights in a folder, such as CC-BY-4.0 (default: that of the model)",
    )
    add_network_options(parser)
    parser.set_defaults(run=lambda options: print(run(options)), kept="nothing was written; give the command again")


def run(options: argparse.Namespace) -> str:
    """Export a network, and return a sentence about the result."""
    by_default = options.format is None and options.output is None
    chosen = _check(options)
    choose_model(options)
    show_messages()
    logger.info("load the network; write %s", options.output)
    if by_default:
        others = ", ".join(name for name in FORMATS if name != DEFAULT_FORMAT)
        logger.info("format %s (%s); --format gives another: %s", DEFAULT_FORMAT, chosen.text, others)
    return chosen.write(options)


def _check(options: argparse.Namespace) -> Format:
    """Return the format after all checks that do not need the network, and complete the options by their defaults."""
    if options.size and min(options.size) < 1:
        raise InputError(f"size is {options.size[0]} x {options.size[1]}; give a height and a width above 0")
    name = options.format or (_format_of(options.output) if options.output else DEFAULT_FORMAT)
    chosen = FORMATS[name]
    check_network(options, chosen.job)
    for option in sorted({option for form in FORMATS.values() for option in form.options}.difference(chosen.options)):
        if getattr(options, option):
            takes = " and ".join(f"--{option}" for option in chosen.options)
            raise InputError(f"--{option} has no effect on format {name}, which takes {takes}; leave it out")
    if chosen.suffixes and options.output and options.output.suffix not in chosen.suffixes:
        endings = " or ".join(chosen.suffixes)
        raise InputError(f"{options.output}: no name for a file of format {name}; give one that ends in {endings}")
    if options.output is None:
        weights = named_model(options) or (options.checkpoint.stem if options.checkpoint else options.network)
        options.output = Path(f"{weights}{chosen.suffixes[0] if chosen.suffixes else f'_{name}'}")
    check_target(options.output, chosen.files, options.overwrite)
    require_output_folder(options.output.absolute().parent)
    if chosen.files:
        _card(options)
    for package in chosen.packages:
        if not is_installed(package):
            raise missing(f"format {name} needs {package}, which", chosen.extra)
    return chosen


def _format_of(path: Path) -> str:
    """Return the name of the format of a file by its suffix."""
    by_suffix = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
    if path.suffix not in by_suffix:
        raise InputError(f"{path}: unknown format; give a file that ends in {', '.join(by_suffix)}, or --format")
    return by_suffix[path.suffix]


def _card(options: argparse.Namespace, classes: Sequence[str] | None = None) -> ModelCard:
    """Return the facts about the weights; those of a trained model do not hold for another checkpoint."""
    model = None if options.checkpoint else named_model(options)
    return read_card(options.bundle, model, options.output.resolve().name, options.licence, classes)


def _write_file(options: argparse.Namespace) -> str:
    from monai_seunet.config.read import content, read_config, trained_network
    from monai_seunet.export.write import SUFFIXES, export_network
    from monai_seunet.networks.scale_unet import ScaleUNet

    config = read_config(**network_arguments(options))
    network, _ = trained_network(config, options.checkpoint)
    fusion = content(config, "fusion") if options.fused else None
    difference = export_network(network, options.output, fusion, options.size or SIZE, options.overwrite)
    checked = (
        "not checked: onnxruntime is not installed"
        if difference is None
        else f"differs from the network by {difference:.1e}"
    )
    fused = f" fused by {fusion}" if isinstance(network, ScaleUNet) else ""
    output = f"probabilities{fused}" if options.fused else "logits"
    return f"{options.output}: {type(network).__name__} as {SUFFIXES[options.output.suffix]}, {output}; {checked}"


def _write_bioimageio(options: argparse.Namespace) -> str:
    from monai_seunet.config.read import content, read_config, trained_network
    from monai_seunet.export.bioimageio import export_bioimageio

    config = read_config(**network_arguments(options))
    if content(config, "haematoxylin"):
        raise InputError(
            "haematoxylin is true, and a BioImage.IO model cannot separate it; give a network of RGB images"
        )
    card = _card(options, content(config, "class_names"))
    network, _ = trained_network(config, options.checkpoint)
    folder = export_bioimageio(
        network,
        options.output,
        content(config, "fusion"),
        card,
        content(config, "stain_target") if content(config, "stain") else None,
        content(config, "standardise"),
        options.overwrite,
    )
    return f"{folder}: BioImage.IO model of {type(network).__name__}, {card.spdx()}; bioimageio test {folder} checks it"


def _write_instanseg(options: argparse.Namespace) -> str:
    from monai_seunet.export.instanseg import PIXEL_SIZE, export_instanseg
    from monai_seunet.slides.configure import configure_segmenter

    segmenter, _ = configure_segmenter(checkpoint=options.checkpoint, **network_arguments(options))
    model, slide_options = segmenter.model, segmenter.options
    card = _card(options)
    difference = export_instanseg(model, slide_options, options.output, card, options.overwrite)
    size = slide_options.network_mpp
    pixels = f"{size:g} µm" if size else f"not known, {PIXEL_SIZE:g} µm is written (--set network_mpp=...)"
    return (
        f"{options.output}: {model.name} with preprocessing and separation of nuclei for QuPath's InstanSeg extension; "
        f"{model.channels} channel(s), pixel size {pixels}; {card.spdx()}; "
        f"differs from the network by {difference:.1e}\n"
        f"next: move {options.output} into local/ in the folder that QuPath's InstanSeg extension has for its models "
        f"({options.bundle / 'docs' / 'qupath.md'})"
    )


FORMATS = {
    "ts": Format("TorchScript, needs torch alone", _write_file, ("fused", "size"), (".ts", ".pt")),
    "onnx": Format(
        "ONNX, of standard operators alone",
        _write_file,
        ("fused", "size"),
        (".onnx",),
        packages=("onnx",),
        extra="onnx",
    ),
    "bioimageio": Format(
        "folder with a BioImage.IO model for Fiji, ilastik and Python",
        _write_bioimageio,
        ("licence",),
        files=BIOIMAGEIO,
        packages=("bioimageio.spec", "onnx", "onnxruntime"),
        extra="bioimageio",
    ),
    "instanseg": Format(
        "folder for QuPath's InstanSeg extension, of all steps from pixels to nuclei",
        _write_instanseg,
        ("licence",),
        files=INSTANSEG,
        job="inference_wsi",
    ),
}
DEFAULT_FORMAT = "ts"
