"""Checks of the options on a bundle's command line before any file is read or written."""

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
from monai_seunet.config.numbers import COUNTS, NUMBERS, is_number
from monai_seunet.config.texts import RENAMED, TEXTS, as_switch, as_text, is_meant_for_monai, literal, read_text
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import write_line

DERIVED = {  # id -> options that it is computed from
    "num_scales": "--num_octaves and --scales_per_octave",
    "used_device": "--device",
}
READ_BY_NETWORKS = ("shared_norm", "recompute")  # parts of options: networks read them as text, too
_OF_MONAI = {*inspect.signature(run).parameters, *inspect.signature(create_workflow).parameters}


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """Check the options of `python -m monai.bundle run`, because MONAI ignores unknown options silently.

    MONAI adds every option to the config, so a mistyped option changes nothing. The bundle's configs call this
    function first. It does nothing in other programs that run a config.

    Args:
        arguments: command line with the program's path; None for that of this process.

    Raises:
        InputError: an option is not in the config files or is computed from others, a value is no number, switch or
            whole number from 1 on where it must be one, a part of an option is the text `true` or `false`, a text has
            no value, or MONAI would change a tag.
    """
    written = written_options(arguments)
    if written is None:
        return
    values = read_values(written)
    defaults, args_file = read_files(values)
    names = {key.lstrip("+~") for key in defaults} - {"_desc_"} | _OF_MONAI | {"_meta_"}
    for option, value in {**args_file, **values}.items():
        name = re.split("#|::", option, maxsplit=1)[0].lstrip("+~")
        if name in RENAMED and name not in names:
            raise InputError(f"--{option}: is called --{RENAMED[name]} now")
        if option in DERIVED:
            raise InputError(f"--{option}: follows from {DERIVED[option]}; give those")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise InputError(
                f"--{name}: no such option" + (f"; did you mean --{near[0]}?" if near else " in the configs")
            )
        if name in TEXTS or (name == "tags" and option != name):
            _check_text(option, name, value, written)
        elif option == name and option in defaults:
            default = defaults[name]
            while isinstance(default, str) and default.startswith("@") and default[1:] in defaults:
                default = defaults[default[1:]]
            _check_type(name, value, default)
        elif option != name and not option.endswith(READ_BY_NETWORKS):
            if isinstance(value, str) and isinstance(as_switch(option, value), bool):
                right = value.capitalize()
                raise InputError(f"--{option} {value}: a text, which would be taken for true; write {right}")


def take_options(values: MutableMapping[str, Any], arguments: Sequence[str] | None = None) -> None:
    """Put texts and switches of `python -m monai.bundle run` into the config as the user wrote them.

    The bundle's configs call this function first with `__local_refs`, MONAI's name for the values of ids. MONAI
    computes each id once, and does not compute ids that already have a value.

    Limits: MONAI replaces macros before it computes ids. A text on the command line therefore cannot begin with `%` or
    contain `@##` or `%##`, and a text that begins with `$` cannot contain the word `import`. Write a path as `./%x`.

    Args:
        values: values by id; the function adds the texts (`texts.TEXTS`) of the command line, and of the config files
            unless they are expressions or references. Other options with the value `true` or `false` become booleans.
        arguments: command line, see `check_command_line`.
    """
    written = written_options(arguments)
    if written is None:
        return
    defaults, args_file = read_files(read_values(written))
    for name, value in {**defaults, **args_file}.items():
        items = value if isinstance(value, list) else [value]
        if name in TEXTS and all(isinstance(item, str) and not is_meant_for_monai(item) for item in items):
            values[name] = as_text(name, value)
    for name, word in written.items():
        if isinstance(as_switch(name, word), bool):
            values[name] = as_switch(name, word)
        elif word is not None and name in TEXTS:
            values[name] = read_text(name, word)
            if word.startswith(("$", "@")):
                write_line(f"note: --{name} {word}: used as a plain text, not as an expression", sys.stderr)


def check_switches(**switches: Any) -> None:
    """Check that no switch is a text, which would be taken for true; Python programs can give one to a bundle.

    Raises:
        InputError: a switch is a text.
    """
    for name, value in switches.items():
        if isinstance(value, str):
            raise InputError(f"{name} is '{value}', a text; give True or False")


def _check_text(option: str, name: str, value: Any, written: Mapping[str, str | None]) -> None:
    """Check that a text has a value and is whole, and that MONAI does not change a tag."""
    if option in written and written[option] is None:
        raise InputError(f"--{option}: give a value; one that begins with - as --{option}=-x")
    if name in TEXTS:
        if option != name:
            raise InputError(f"--{option}: a part of --{name}; give the whole of it")
        return
    word = written.get(option)
    if word is not None and _is_changed(word, value):
        escaped = literal(word)
        escaped = repr(word) if escaped == word else escaped
        quoted = shlex.quote(escaped) if re.search(r"""["$\\`!]""", escaped) else f'"{escaped}"'
        raise InputError(f"--{option} {word}: would be changed on its way; write --{option} {quoted}")


def _is_changed(word: str, value: Any) -> bool:
    """Return whether Fire or MONAI changes a text; Fire removes quotes around it."""
    if not isinstance(value, str):
        return value is None or str(value) != word
    return (value != word and word[0] not in "'\"") or (literal(value) != value and not is_meant_for_monai(value))


def _check_type(name: str, value: Any, default: Any) -> None:
    if value is None or isinstance(value, (Mapping, list, tuple)) or str(value).startswith(("$", "@", "%")):
        return
    if isinstance(default, bool) or str(default).startswith("$not "):
        if str(value).lower() not in ("true", "false"):
            raise InputError(f"--{name} {value}: give true or false")
        return
    like = f", as {default}" if isinstance(default, (int, float)) else ""
    number = is_number(value)
    if name in COUNTS and not (number and value >= 1 and value == int(value)):
        raise InputError(f"--{name} {value}: give a whole number from 1 on{like}")
    if (like or name in NUMBERS) and not number:
        raise InputError(f"--{name} {value}: give a number{like}")
