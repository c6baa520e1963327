"""Options that are texts: paths, names and addresses, which must keep all their characters.

Two programs read an option before the bundle gets it. Python Fire reads `2023_01` as a number and `a,b` as two values.
MONAI interprets `$` and `@` at the beginning, and changes `#` to `::`. Both are wrong for an option that is a text.
"""

from __future__ import annotations

import ast
import json
import re
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
LISTS = {"class_names"}  # options that are always lists of texts
TEXTS = PATHS | NAMES | LISTS
MAY_BE_SEVERAL = {"dataset_dir", "image", "slides"} | LISTS
MAY_BE_NONE = {"calibration", "class_names", "mlflow_run", "pretrained", "run_name", "scheduler"}

RENAMED = {  # old spelling -> new one
    "source_mpp": "mpp",
    "target_mpp": "network_mpp",
    "source_power": "power",
    "dice_fusion": "loss_fusion",
}

Text = str | list[str] | None


def read_text(name: str, written: str) -> Text:
    """Convert the value of one of `TEXTS` on the command line.

    Args:
        name: name of the option.
        written: value on the command line. `['a','b']` is a list for `MAY_BE_SEVERAL`, `None` and `null` are None for
            `MAY_BE_NONE`, and `~` at the beginning is the home folder for `PATHS`. Other values are texts.

    Raises:
        InputError: the option needs a list of texts.

    >>> read_text("run_name", "2023_01"), read_text("run_name", "null"), read_text("slides", "['a','b']")
    ('2023_01', None, ['a', 'b'])
    """
    if name in MAY_BE_NONE and written in ("None", "null"):
        return None
    texts = _texts(written) if name in MAY_BE_SEVERAL else None
    if texts is None and name in LISTS:
        raise InputError(f"{name} is {written}; give a list of texts in quotes, as \"['background','nucleus']\"")
    return as_text(name, written if texts is None else texts)


def as_text(name: str, value: Any) -> Any:
    """Return a value of one of `TEXTS` with the home folder in place of `~`; values of other types do not change."""
    if isinstance(value, list):
        return [as_text(name, item) for item in value]
    if name in PATHS and isinstance(value, str) and (value == "~" or value.startswith("~/")):
        return str(Path(value).expanduser())
    return value


def as_switch(name: str, value: Any) -> Any:
    """Return True or False for the text `true` or `false` of any case; texts of `TEXTS` and tags do not change.

    >>> as_switch("stain", "False"), as_switch("run_name", "false"), as_switch("fusion", "p_max")
    (False, 'false', 'p_max')
    """
    may_be = isinstance(value, str) and name not in TEXTS and not name.startswith("tags#")
    return {"true": True, "false": False}.get(value.lower(), value) if may_be else value


def is_meant_for_monai(value: Any) -> bool:
    """Return whether MONAI evaluates a value of a config file: an expression, a reference or a macro."""
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def literal(text: str) -> str:
    """Escape a text so that MONAI's `ConfigParser` returns it unchanged; most texts need no escape.

    >>> literal("data/a"), eval(literal("run #1")[1:])
    ('data/a', 'run #1')
    """
    if not is_meant_for_monai(text) and "#" not in text and "::" not in text:
        return text
    quoted = repr(text)
    for character in "#@%:":
        quoted = quoted.replace(character, f"\\x{ord(character):02x}")
    return f"${quoted}"


def keep_texts(name: str, value: Any) -> Any:
    """Escape the texts in a value of one of `TEXTS` from a config file."""
    if isinstance(value, list):
        return [keep_texts(name, item) for item in value]
    return literal(as_text(name, value)) if isinstance(value, str) and not is_meant_for_monai(value) else value


def read_setting(setting: str) -> tuple[str, Any]:
    """Read `ID=VALUE`: the value is JSON if it can be read so, else a text; see `read_text` for `TEXTS`.

    Raises:
        InputError: the `=` is missing; and the errors of `read_text`.

    >>> read_setting("threshold=0.4"), read_setting("network_def#group=p4")
    (('threshold', 0.4), ('network_def#group', 'p4'))
    """
    name, equals, written = setting.partition("=")
    if not equals:
        name = next(iter(re.split(r"[\s:]", setting)), "") or "ID"
        raise InputError(f"setting '{setting}': give the value after an equals sign, as {name}=VALUE")
    if name in TEXTS:
        return name, read_text(name, written)
    try:
        return name, json.loads(written)
    except ValueError:
        return name, written


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read several `ID=VALUE`; the last value of an id counts.

    Raises:
        InputError: a setting is wrong, see `read_setting`.
    """
    return dict(map(read_setting, settings))


def write_setting(name: str, value: Any) -> str:
    """Return `ID=VALUE` for `read_setting`."""
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
