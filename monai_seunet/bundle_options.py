"""The options of a bundle's command line, checked before anything is read or written."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser, create_workflow, run

from monai_seunet.errors import InputError

COUNTS = (  # whole numbers from 1 on
    *("batch_size", "crop_size", "epochs", "field", "max_images", "multiple", "num_classes", "num_octaves"),
    *("scales_per_octave", "threads", "tile_size", "tile_stride", "val_interval", "width"),
)
DERIVED = {"num_scales": "--num_octaves and --scales_per_octave"}  # option -> those that it follows from
NUMBERS = ("max_minutes", "scale_augmentation_probability", "target_mpp")  # whose default does not show it
_OF_MONAI = {*inspect.signature(run).parameters, *inspect.signature(create_workflow).parameters}


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Refuse options of `python -m monai.bundle run` that MONAI would take without a word and never use.

    MONAI adds whatever stands behind `--` to the config, so that a mistyped option changes nothing. The bundle's
    configs call this first. Other programs that run a config are left alone.

    Args:
        arguments: with the program's path; those of this process by default.

    Raises:
        InputError: for an option that no config file has or that follows from others, for a text where there has to be
            a number or a switch, and for one of `COUNTS` that is no whole number from 1 on.
    """
    program, *words = sys.argv if arguments is None else arguments
    if Path(program).parts[-3:] != ("monai", "bundle", "__main__.py"):
        return
    given = _parse(words)
    if "args_file" in given:
        given = {**ConfigParser.load_config_file(given["args_file"]), **given}
    defaults = ConfigParser.load_config_files(given.get("config_file", []))
    known = {key.lstrip("+~") for key in defaults} | _OF_MONAI | {"_meta_"}
    for option, value in given.items():
        name = re.split("#|::", option, maxsplit=1)[0].lstrip("+~")
        if option in DERIVED:
            raise InputError(f"--{option}: follows from {DERIVED[option]}; give those")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else " in the configs")
            )
        if option == name and option in defaults:
            default = defaults[name]
            while isinstance(default, str) and default.startswith("@") and default[1:] in defaults:
                default = defaults[default[1:]]
            _check_kind(name, value, default)


def _parse(words: Sequence[str]) -> dict[str, Any]:
    """Options and their values as Fire, which MONAI's command line is made with, reads them."""
    given: dict[str, Any] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            name, assigned, value = word[2:].partition("=")
            if not assigned:
                value = "True" if following.startswith("--") else following
            given[name.replace("-", "_")] = DefaultParseValue(value)
    return given


def _check_kind(name: str, value: Any, default: Any) -> None:
    if value is None or isinstance(value, (Mapping, list, tuple)) or str(value).startswith(("$", "@", "%")):
        return
    if isinstance(default, bool) or str(default).startswith("$not "):
        if str(value).lower() not in ("true", "false"):
            raise InputError(f"--{name} {value}: give true or false")
        return
    like = f", as {default}" if isinstance(default, (int, float)) else ""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in COUNTS and not (number and value >= 1 and value == int(value)):
        raise InputError(f"--{name} {value}: give a whole number from 1 on{like}")
    if (like or name in NUMBERS) and not number:
        raise InputError(f"--{name} {value}: give a number{like}")
