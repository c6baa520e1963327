"""Reading of the command line of `python -m monai.bundle run`, by the rules of Fire, which MONAI uses."""

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

_OPTION = re.compile("--|-[a-zA-Z]")  # start of an option, in contrast to a value such as -1


def written_options(arguments: Sequence[str] | None = None) -> dict[str, str | None] | None:
    """Return the values of options as the user wrote them, before Fire converts numbers and lists.

    Args:
        arguments: command line with the program's path; None for that of this process.

    Returns:
        Dictionary from option to value, which is None if none was written. None in place of the dictionary if the
        program is not `monai.bundle`.

    Raises:
        InputError: a `-` stands alone, after which Fire expects another command.
    """
    program, *words = sys.argv if arguments is None else arguments
    if Path(program).parts[-3:] != ("monai", "bundle", "__main__.py"):
        return None
    words, _ = SeparateFlagArgs(words)
    if "-" in words:
        raise InputError("a - stands alone; a value that is - is written behind =, as --run_name=-")
    options: dict[str, str | None] = {}
    while words:
        word, *words = words
        if not _OPTION.match(word):
            continue
        name, assigned, value = word.lstrip("-").partition("=")
        follows = not assigned and bool(words) and not _OPTION.match(words[0])
        options[name.replace("-", "_")] = words.pop(0) if follows else value if assigned else None
    return options


def read_values(written: Mapping[str, str | None]) -> dict[str, Any]:
    """Convert values like Fire, except those of `texts.TEXTS`; an option without a value is True."""
    words = {option: "True" if word is None else word for option, word in written.items()}
    return {option: word if option in TEXTS else DefaultParseValue(word) for option, word in words.items()}


def read_files(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the config files and the `--args_file` that the values of `read_values` name."""
    args_file = ConfigParser.load_config_file(given["args_file"]) if "args_file" in given else {}
    return ConfigParser.load_config_files({**args_file, **given}.get("config_file", [])), args_file


def command_word(option: str, value: Any) -> str:
    """Return an option as a word of the command line that gives a bundle exactly this value.

    Without this conversion, Fire and MONAI would read `false` as a text and `"20"` as a number, and drop None.

    Args:
        option: id of the config.
        value: text, path, number, switch, list of these, or None. A text that begins with `$` or `@` is an expression
            or a reference, except for `texts.TEXTS` and tags.

    >>> command_word("stain", False), command_word("max_lr", 0.01)
    ('--stain=$False', '--max_lr=0.01')
    """
    if isinstance(value, str | Path):
        text = literal(str(value)) if option.startswith("tags#") else str(value)
        unchanged = option in TEXTS or DefaultParseValue(text) == text
        return f"--{option}={text if unchanged else repr(text)}"
    if value is None or isinstance(value, bool):
        return f"--{option}={value}" if option in TEXTS else f"--{option}=${value}"
    return f"--{option}={value!r}"
