"""The options of a bundle's command line, checked before anything is read or written; texts stay as they are."""

from __future__ import annotations

import difflib
import inspect
import re
import shlex
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from monai.bundle import create_workflow, run

from monai_seunet.config.command_line import read_files, read_values, written_options
from monai_seunet.config.texts import RENAMED, TEXTS, as_text, is_meant_for_monai, literal, read_text
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import write_line

COUNTS = (  # whole numbers from 1 on
    *("batch_size", "crop_size", "epochs", "field", "max_images", "multiple", "num_classes", "num_octaves"),
    *("scales_per_octave", "threads", "tile_size", "tile_stride", "val_interval", "width"),
)
DERIVED = {  # option -> those that it follows from
    "num_scales": "--num_octaves and --scales_per_octave",
    "used_device": "--device",
}
NUMBERS = ("max_minutes", "network_mpp", "scale_augmentation_probability")  # whose default does not show it
_OF_MONAI = {*inspect.signature(run).parameters, *inspect.signature(create_workflow).parameters}


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Refuse options of `python -m monai.bundle run` that MONAI would take without a word and never use.

    MONAI adds whatever stands behind `--` to the config, so that a mistyped option changes nothing. The bundle's
    configs call this first. Other programs that run a config are left alone.

    Args:
        arguments: with the program's path; those of this process by default.

    Raises:
        InputError: for an option that no config file has or that follows from others, for a text where there has to be
            a number or a switch, for one of `COUNTS` that is no whole number from 1 on, for a text without a value, and
            for a tag that would arrive as something else.
    """
    written = written_options(arguments)
    if written is None:
        return
    given = read_values(written)
    defaults, of_file = read_files(given)
    known = {key.lstrip("+~") for key in defaults} - {"_desc_"} | _OF_MONAI | {"_meta_"}
    for option, value in {**of_file, **given}.items():
        name = re.split("#|::", option, maxsplit=1)[0].lstrip("+~")
        if name in RENAMED and name not in known:
            raise InputError(f"--{option}: is called --{RENAMED[name]} now")
        if option in DERIVED:
            raise InputError(f"--{option}: follows from {DERIVED[option]}; give those")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else " in the configs")
            )
        if name in TEXTS or (name == "tags" and option != name):
            _check_text(option, name, value, written)
        elif option == name and option in defaults:
            default = defaults[name]
            while isinstance(default, str) and default.startswith("@") and default[1:] in defaults:
                default = defaults[default[1:]]
            _check_kind(name, value, default)


def take_options(values: MutableMapping[str, Any], arguments: Sequence[str] | None = None) -> None:
    """Put texts and switches into a config that is run by `python -m monai.bundle run` as they were meant.

    The bundle's configs call this before anything else is made of them, with `__local_refs`: that is how MONAI calls
    the values of the ids, which it makes one by one, each once. What is in there, MONAI does not read any more.

    Limits: MONAI replaces macros before any id is made, so that a text on the command line cannot begin with `%`, nor
    hold `@##` or `%##`; and one that begins with `$` cannot have the word `import`. A path is given as `./%x` then.

    Args:
        values: of the ids by now; gets those of `texts.TEXTS` that the config files or the command line give. On the
            command line all of these are texts, in config files those that are no expression or reference. Any other
            option whose value is `true` or `false` becomes a truth value.
        arguments: see `check_command_line`.
    """
    written = written_options(arguments)
    if written is None:
        return
    defaults, of_file = read_files(read_values(written))
    for name, value in {**defaults, **of_file}.items():
        several = value if isinstance(value, list) else [value]
        if name in TEXTS and all(isinstance(one, str) and not is_meant_for_monai(one) for one in several):
            values[name] = as_text(name, value)
    for name, word in written.items():
        if word is None:
            continue
        if name not in TEXTS and word.lower() in ("true", "false"):
            values[name] = word.lower() == "true"
        elif name in TEXTS:
            values[name] = read_text(name, word)
            if word.startswith(("$", "@")):
                write_line(f"note: --{name} {word}: taken as it is written, as any path or name", sys.stderr)


def _check_text(option: str, name: str, value: Any, written: Mapping[str, str | None]) -> None:
    """Refuse a text that is not there, a part of one, and a tag, which `take_options` cannot reach, that is changed."""
    if option in written and written[option] is None:
        raise InputError(f"--{option}: give a value; one that begins with - as --{option}=-x")
    if name in TEXTS:
        if option != name:
            raise InputError(f"--{option}: a part of --{name}; give the whole of it")
        return
    word = written.get(option)
    if word is not None and _is_changed(word, value):
        kept = literal(word)
        kept = repr(word) if kept == word else kept
        quoted = shlex.quote(kept) if re.search(r"""["$\\`!]""", kept) else f'"{kept}"'
        raise InputError(f"--{option} {word}: would be changed on its way; write --{option} {quoted}")


def _is_changed(word: str, value: Any) -> bool:
    """Whether what Fire, and then MONAI, make of a text is another text; quotes around it are meant for Fire."""
    if not isinstance(value, str):
        return value is None or str(value) != word
    return (value != word and word[0] not in "'\"") or (literal(value) != value and not is_meant_for_monai(value))


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
