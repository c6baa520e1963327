"""Parsing of untrusted JSON, and access to its values with a check of their type."""

from __future__ import annotations

import json
from typing import Any

from monai_seunet.utils.errors import InputError

_TYPE_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def parse_json(text: bytes, where: str) -> Any:
    """Parse JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Limits: NaN and infinite numbers are accepted, because QuPath writes them as measurements. `ring` rejects them in
    coordinates.

    Raises:
        InputError: the text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: the JSON is not in UTF-8 ({error}); save it in UTF-8") from error
    except RecursionError as error:
        raise InputError(f"{where}: the JSON is nested too deep; export it again") from error
    except ValueError as error:
        raise InputError(f"{where}: cannot be read as JSON ({error}); export it again") from error


def member(container: Any, key: str, expected: type, where: str, default: Any = None) -> Any:
    """Return the value of a key of a JSON object, or the default if it is missing or null.

    Raises:
        InputError: the value has another type than expected, or `container` is not an object.

    >>> member({"width": 7}, "width", int, "a.json")
    7
    """
    if not isinstance(container, dict):
        raise InputError(f"{where}: an object is expected, got {_shortened(container)}")
    value = container.get(key)
    if value is None:
        return default
    if not isinstance(value, expected):
        raise InputError(f"{where}: '{key}' must be {_TYPE_NAMES[expected]}, got {_shortened(value)}")
    return value


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
