"""JSON that may hold anything: parsed, and its values taken with the kind that they must have."""

from __future__ import annotations

import json
from typing import Any

from monai_seunet.utils.errors import InputError

_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def parse_json(text: bytes, where: str) -> Any:
    """Parse JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Limits: NaN and infinite numbers are taken, because QuPath writes them as measurements; `ring` refuses them in
    coordinates.

    Args:
        text: the file.
        where: what messages call it.

    Raises:
        InputError: where it is none, or nested too deep.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: JSON that is not in UTF-8 ({error}); save it in UTF-8") from error
    except RecursionError as error:
        raise InputError(f"{where}: JSON that is nested too deep; export it again") from error
    except ValueError as error:
        raise InputError(f"{where}: cannot be read as JSON ({error}); export it again") from error


def member(value: Any, key: str, kind: type, where: str, default: Any = None) -> Any:
    """The value of a key of an object; the default where there is none, or null.

    Raises:
        InputError: where it is of another kind, or `value` is no object.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: an object is expected, got {_told(value)}")
    found = value.get(key)
    if found is None:
        return default
    if not isinstance(found, kind):
        raise InputError(f"{where}: '{key}' must be {_KINDS[kind]}, got {_told(found)}")
    return found


def _told(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
