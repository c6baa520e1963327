"""Parsing of values from a command line, and words of messages."""

from __future__ import annotations

from monai_seunet.utils.errors import InputError


def parse_bool(value: bool | str) -> bool:
    """Read a switch: `--stain false` on the command line of a bundle arrives as the text 'false'.

    Raises:
        InputError: for anything but true and false.
    """
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise InputError(f"a switch is '{value}'; give true or false")


def count(number: int, noun: str) -> str:
    """Return a number with its noun in the singular or plural.

    >>> count(1, "image"), count(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
