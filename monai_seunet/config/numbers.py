"""Options that are numbers, and the check of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from monai_seunet.config.texts import is_meant_for_monai
from monai_seunet.utils.errors import InputError

COUNTS = (  # options that are whole numbers from 1 on
    *("batch_size", "crop_size", "epochs", "field", "max_images", "multiple", "num_classes", "num_octaves"),
    *("scales_per_octave", "threads", "tile_size", "tile_stride", "val_interval", "width"),
)
NUMBERS = (  # numbers whose default is no number
    *("max_minutes", "min_area", "network_mpp", "plane", "power", "readers", "scale_augmentation_probability"),
    *("series", "workers"),
)


def is_number(value: Any) -> bool:
    """Return whether a value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_number(content: Mapping[str, Any], name: str, value: Any) -> None:
    """Refuse the value of a setting that is no number, if the id is one of `COUNTS`, `NUMBERS` or has a number.

    None and expressions are not checked.

    Args:
        content: config with the defaults.
        name: id of the config, with `#` or `::` between its parts.
        value: value of the setting.

    Raises:
        InputError: the value is no number.

    >>> require_number({"threshold": 0.5}, "threshold", 0.4)
    """
    default: Any = content
    for key in re.split("#|::", name):
        default = default.get(key) if isinstance(default, Mapping) else None
    if value is None or is_number(value) or is_meant_for_monai(value):
        return
    if is_number(default) or name in COUNTS + NUMBERS:
        like = f", as {default}" if is_number(default) else ""
        raise InputError(f"{name} is {value!r}; give a number{like}")
