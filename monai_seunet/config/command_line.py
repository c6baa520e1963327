"""The words of `python -m monai.bundle run`, as Fire, which MONAI's command line is made with, takes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue, SeparateFlagArgs
from monai.bundle import ConfigParser

from monai_seunet.config.texts import TEXTS, literal
from monai_seunet.utils.errors import InputError

_OPTION = re.compile("--|-[a-zA-Z]")  # a word that is no value


def written_options(arguments: Sequence[str] | None = None) -> dict[str, str | None] | None:
    """Options and their values as the user wrote them, before Fire reads numbers and lists in them.

    Args:
        arguments: with the program's path; those of this process by default.

    Returns:
        None as the value of an option without one; None where another program runs.

    Raises:
        InputError: where a `-` stands alone, after which Fire looks for another command.
    """
    program, *words = sys.argv if arguments is None else arguments
    if Path(program).parts[-3:] != ("monai", "bundle", "__main__.py"):
        return None
    words, _ = SeparateFlagArgs(words)
    if "-" in words:
        raise InputError("a - stands alone; a value that is - is written behind =, as --run_name=-")
    given: dict[str, str | None] = {}
    while words:
        word, *words = words
        if not _OPTION.match(word):
            continue
        name, assigned, value = word.lstrip("-").partition("=")
        follows = not assigned and bool(words) and not _OPTION.match(words[0])
        given[name.replace("-", "_")] = words.pop(0) if follows else value if assigned else None
    return given


def read_values(written: Mapping[str, str | None]) -> dict[str, Any]:
    """What Fire makes of the values, save of `texts.TEXTS`; an option without one is True."""
    words = {option: "True" if word is None else word for option, word in written.items()}
    return {option: word if option in TEXTS else DefaultParseValue(word) for option, word in words.items()}


def read_files(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the config files have, and the options of an `--args_file`.

    Args:
        given: of `read_values`.
    """
    of_file = ConfigParser.load_config_file(given["args_file"]) if "args_file" in given else {}
    return ConfigParser.load_config_files({**of_file, **given}.get("config_file", [])), of_file


def command_word(option: str, value: Any) -> str:
    """One option as a word that reaches a bundle as this value.

    On the command line `false` is a word, `"20"` a number, and None is left out.

    Args:
        option: an id of the config.
        value: a text, path, number, switch, list of these or None; what begins with `$` or `@` is an expression or a
            reference, save for `texts.TEXTS` and tags.
    """
    if isinstance(value, str | Path):
        text = literal(str(value)) if option.startswith("tags#") else str(value)
        kept = option in TEXTS or DefaultParseValue(text) == text
        return f"--{option}={text if kept else repr(text)}"
    if value is None or isinstance(value, bool):
        return f"--{option}={value}" if option in TEXTS else f"--{option}=${value}"
    return f"--{option}={value!r}"
