"""The command `monai-seunet export`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from monai_seunet.commands.network_options import add_network_options, check_files, choose_model, network_arguments
from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from monai_seunet.export.model_card import ModelCard


SIZE = (128, 128)  # of the test image, in pixels


class Format(NamedTuple):
    """A format of exported networks.

    Attributes:
        text: content of the file or folder, for the help.
        write: function of the options that writes it and returns a sentence about it.
        options: names of the options that this format takes and others lack.
        suffixes: endings of files of this format; empty for a format that `--format` has to name.
    """

    text: str
    write: Callable[[argparse.Namespace], str]
    options: tuple[str, ...]
    suffixes: tuple[str, ...] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    add_network_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PATH", help="file or folder to write")
    parser.add_argument(
        "--format",
        choices=list(FORMATS),
        help=f"{'; '.join(f'{name}: {form.text}' for name, form in FORMATS.items())} (default: by the ending of PATH)",
    )
    parser.add_argument("--fused", action="store_true", help="fuse the scale groups of a file to probabilities")
    parser.add_argument(
        "--size", type=int, nargs=2, metavar=("H", "W"), help="size of the test image of a file (default: 128 128)"
    )
    parser.add_argument(
        "--licence",
        default="",
        help="licence of the weights in a folder, such as CC-BY-4.0 (default: that of the model)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what PATH holds")
    parser.set_defaults(run=lambda options: print(run(options)))


def run(options: argparse.Namespace) -> str:
    """Export a network, and return a sentence about the result."""
    check_files(options)
    if options.size and min(options.size) < 1:
        raise InputError(f"size is {options.size[0]} x {options.size[1]}; give a height and a width above 0")
    name = options.format or _format_of(options.output)
    chosen = FORMATS[name]
    if chosen.suffixes and options.output.suffix not in chosen.suffixes:
        endings = " or ".join(chosen.suffixes)
        raise InputError(f"{options.output}: no name for a file of format {name}; give one that ends in {endings}")
    for option in sorted({option for form in FORMATS.values() for option in form.options}.difference(chosen.options)):
        if getattr(options, option):
            takes = " and ".join(f"--{option}" for option in chosen.options)
            raise InputError(f"--{option} has no effect on format {name}, which takes {takes}; leave it out")
    choose_model(options)
    return chosen.write(options)


def _format_of(path: Path) -> str:
    """Return the name of the format of a file by its suffix."""
    by_suffix = {suffix: name for name, form in FORMATS.items() for suffix in form.suffixes}
    if path.suffix not in by_suffix:
        raise InputError(f"{path}: unknown format; give a file that ends in {', '.join(by_suffix)}, or --format")
    return by_suffix[path.suffix]


def _card(options: argparse.Namespace, classes: Sequence[str] | None = None) -> ModelCard:
    """Return the facts about the weights; those of a trained model do not hold for another checkpoint."""
    from monai_seunet.export.model_card import read_card

    model = None if options.checkpoint else options.model
    return read_card(options.bundle, model, options.output.resolve().name, options.licence, classes)


def _write_file(options: argparse.Namespace) -> str:
    from monai_seunet.config.read import content, read_config, trained_network
    from monai_seunet.export.write import SUFFIXES, export_network
    from monai_seunet.networks.scale_unet import ScaleUNet

    config = read_config(**network_arguments(options))
    network, _ = trained_network(config, options.checkpoint)
    fusion = content(config, "fusion") if options.fused else None
    difference = export_network(network, options.output, fusion, options.size or SIZE, options.overwrite)
    checked = "not checked: onnxruntime is not installed" if difference is None else f"differs by {difference:.1e}"
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
        f"{model.channels} channel(s), pixel size {pixels}; {card.spdx()}; differs by {difference:.1e}"
    )


FORMATS = {
    "ts": Format("TorchScript, needs torch alone", _write_file, ("fused", "size"), (".ts", ".pt")),
    "onnx": Format("ONNX, of standard operators alone", _write_file, ("fused", "size"), (".onnx",)),
    "bioimageio": Format(
        "folder with a BioImage.IO model for Fiji, ilastik and Python", _write_bioimageio, ("licence",)
    ),
    "instanseg": Format(
        "folder for QuPath's InstanSeg extension, of all steps from pixels to nuclei", _write_instanseg, ("licence",)
    ),
}
