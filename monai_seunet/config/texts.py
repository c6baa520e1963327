"""Options that are texts: paths, names and addresses, which stay as they were written, whatever characters they hold.

Two programs read an option before the bundle gets it. Python Fire reads `2023_01` as a number and `a,b` as two values.
MONAI reads `$` and `@` at the beginning, and changes `#` to `::`. For an option that is a text, neither is meant.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monai_seunet.utils.errors import InputError

PATHS = {
    *("bundle_root", "calibration", "checkpoint", "ckpt_dir", "dataset_dir", "image", "output_dir", "pretrained"),
    *("report_dir", "slides", "stain_target"),
}
NAMES = {
    *("experiment", "label_format", "method", "mlflow_run", "probability_format", "run_name", "scale_format"),
    *("scheduler", "tracking_uri"),
}
LISTS = {"class_names"}  # of texts, always
TEXTS = PATHS | NAMES | LISTS
MAY_BE_SEVERAL = {"dataset_dir", "image", "slides"} | LISTS
MAY_BE_NONE = {"calibration", "class_names", "mlflow_run", "pretrained", "run_name", "scheduler"}

RENAMED = {"source_mpp": "mpp", "target_mpp": "network_mpp", "source_power": "power"}  # old spelling -> new one

Text = str | list[str] | None


def read_text(name: str, written: str) -> Text:
    """What a user means by the value of one of `TEXTS`.

    Args:
        name: of the option.
        written: its value: `['a','b']` is a list for `MAY_BE_SEVERAL`, `None` and `null` are nothing for `MAY_BE_NONE`,
            `~` and `~/` begin the home folder in `PATHS`. All else is a text.

    Raises:
        InputError: where there has to be a list of texts.
    """
    if name in MAY_BE_NONE and written in ("None", "null"):
        return None
    several = _texts(written) if name in MAY_BE_SEVERAL else None
    if several is None and name in LISTS:
        raise InputError(f"{name} is {written}; give a list of texts in quotes, as \"['background','nucleus']\"")
    return as_text(name, written if several is None else several)


def as_text(name: str, value: Any) -> Any:
    """The value of one of `TEXTS` with the home folder in place of `~`; what is no text stays."""
    if isinstance(value, list):
        return [as_text(name, one) for one in value]
    if name in PATHS and isinstance(value, str) and (value == "~" or value.startswith("~/")):
        return str(Path(value).expanduser())
    return value


def is_meant_for_monai(value: Any) -> bool:
    """Whether MONAI evaluates a value of a config file: an expression, a reference or a macro."""
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def literal(text: str) -> str:
    """Write a text so that MONAI's `ConfigParser` gives it back as it is; most texts are written as they are."""
    if not is_meant_for_monai(text) and "#" not in text and "::" not in text:
        return text
    quoted = repr(text)
    for character in "#@%:":
        quoted = quoted.replace(character, f"\\x{ord(character):02x}")
    return f"${quoted}"


def keep_texts(name: str, value: Any) -> Any:
    """The value that a config file has for one of `TEXTS`, so that MONAI changes none that is meant as a text."""
    if isinstance(value, list):
        return [keep_texts(name, one) for one in value]
    return literal(as_text(name, value)) if isinstance(value, str) and not is_meant_for_monai(value) else value


def read_setting(setting: str) -> tuple[str, Any]:
    """Read `ID=VALUE`: the id, and its value as JSON where it is such, else as text; see `read_text` for `TEXTS`.

    Raises:
        InputError: see `read_text`, and where there is no `=`.
    """
    name, equals, written = setting.partition("=")
    if not equals:
        raise InputError(f"setting '{setting}': give ID=VALUE with an id of the config, such as network_def#group=p4")
    if name in TEXTS:
        return name, read_text(name, written)
    try:
        return name, json.loads(written)
    except ValueError:
        return name, written


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read several `ID=VALUE`; the last one of an id counts.

    Raises:
        InputError: see `read_setting`.
    """
    return dict(map(read_setting, settings))


def write_setting(name: str, value: Any) -> str:
    """The reverse of `read_setting`: `ID=VALUE`."""
    return f"{name}={value if name in TEXTS and isinstance(value, str | Path) else json.dumps(value)}"


def _texts(written: str) -> list[str] | None:
    if not (written.startswith("[") and written.endswith("]")):
        return None
    try:
        values: Sequence[Any] = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        return None
    texts = [value for value in values if isinstance(value, str)]
    return texts if texts and len(texts) == len(values) else None
