"""Areas of single objects, which may overlap, to one instance label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monai_seunet.utils.errors import InputError

MAX_INSTANCES = np.iinfo(np.uint16).max


class Stack(NamedTuple):
    """An instance label, and the positions (from 0) of the areas that are not in it.

    Attributes:
        label: (H, W), uint16.
        empty: areas without a pixel.
        hidden: areas that others cover.
    """

    label: np.ndarray
    empty: list[int]
    hidden: list[int]


def stack_instances(
    areas: Sequence[tuple[np.ndarray, np.ndarray]], size: tuple[int, ...], file: object = "(no file)"
) -> Stack:
    """Put areas into one instance label; area i gets the number i + 1.

    Pixels that several areas hold go to the smallest of them, or to the later one of the same size: an object on top of
    a large one is not lost.
    Law: the foreground is the union of the areas; every pixel of it has the number of an area that holds it.
    Limits: areas that others cover have no pixel left; they are listed.

    Args:
        areas: row and column indices of the pixels of each object, inside the image.
        size: rows and columns of the image.
        file: what messages call the source of the areas.

    Raises:
        InputError: for more areas than 16 bits can number.
    """
    check_count(len(areas), file)
    label = np.zeros(size, dtype=np.uint16)
    for index in sorted(range(len(areas)), key=lambda i: -len(areas[i][0])):  # stable: later ones come on top
        label[areas[index]] = index + 1
    counts = np.bincount(label.ravel(), minlength=len(areas) + 1)
    empty = [i for i, pixels in enumerate(areas) if len(pixels[0]) == 0]
    hidden = [i for i, pixels in enumerate(areas) if len(pixels[0]) > 0 and counts[i + 1] == 0]
    return Stack(label, empty, hidden)


def check_count(count: int, file: object) -> None:
    """Refuse more objects than an instance label of 16 bits can number.

    Raises:
        InputError: naming the file.
    """
    if count > MAX_INSTANCES:
        raise InputError(f"{file}: {count} objects are more than 16 bits can number ({MAX_INSTANCES}); cut the image")
