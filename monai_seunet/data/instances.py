"""Instance labels: composition from overlapping areas, and checks of their numbering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.measure import label as connected_parts

from monai_seunet.utils.errors import InputError

MAX_INSTANCES = np.iinfo(np.uint16).max
AREAS_PER_NUMBER = 5  # more areas, in the mean over the numbers, cannot be the parts of objects
MOST_AREAS = 1000  # largest number of areas of a single number
# Shares of the largest area of a number: areas below the first are ignored, areas above the second are alike.
SPECK, ALIKE = 0.01, 0.25


class Stack(NamedTuple):
    """An instance label, and the indices of the areas that are missing in it.

    Attributes:
        label: instance label (H, W), uint16.
        empty: indices of areas without a pixel.
        hidden: indices of areas that other areas cover.
    """

    label: np.ndarray
    empty: list[int]
    hidden: list[int]


def stack_instances(
    areas: Sequence[tuple[np.ndarray, np.ndarray]], size: tuple[int, ...], file: object = "(no file)"
) -> Stack:
    """Compose one instance label from areas; area i gets the number i + 1.

    A pixel in several areas gets the number of the smallest area, or of the last one of equal size, so a small
    object on a large one is kept.
    Invariant: the foreground is the union of the areas; every pixel has the number of an area that contains it.
    Limits: areas that other areas cover have no pixel in the label; they are listed in `hidden`.

    Args:
        areas: row and column indices of the pixels of each object, inside the image.
        size: rows and columns of the image.
        file: name of the source in messages.

    Raises:
        InputError: there are more areas than 16 bits can number.

    >>> large, small = (np.array([0, 0, 0]), np.array([0, 1, 2])), (np.array([0]), np.array([1]))
    >>> stack_instances([large, small], size=(1, 3)).label
    array([[1, 2, 1]], dtype=uint16)
    """
    check_count(len(areas), file)
    label = np.zeros(size, dtype=np.uint16)
    for index in sorted(range(len(areas)), key=lambda i: -len(areas[i][0])):  # the sort is stable: later areas win
        label[areas[index]] = index + 1
    counts = np.bincount(label.ravel(), minlength=len(areas) + 1)
    empty = [i for i, pixels in enumerate(areas) if len(pixels[0]) == 0]
    hidden = [i for i, pixels in enumerate(areas) if len(pixels[0]) > 0 and counts[i + 1] == 0]
    return Stack(label, empty, hidden)


def check_count(count: int, file: object) -> None:
    """Raise an InputError for more objects than an instance label of 16 bits can number."""
    if count > MAX_INSTANCES:
        raise InputError(f"{file}: {count} objects are more than 16 bits can number ({MAX_INSTANCES}); cut the image")


class Parted(NamedTuple):
    """An instance label in which every number is one object.

    Attributes:
        label: instance label (H, W), int32, 0 for background.
        parted: number of objects that got a new number.
    """

    label: np.ndarray
    parted: int


class Areas(NamedTuple):
    """The K connected areas of an instance label; pixels that touch at a corner are connected.

    Attributes:
        parts: area of each pixel (H, W), counted from 1, 0 for background.
        owners: index (K,) of the number of each area in `values`.
        values: numbers of the label in increasing order.
    """

    parts: np.ndarray
    owners: np.ndarray
    values: np.ndarray


def part_instances(label: np.ndarray, file: object) -> Parted:
    """Check an instance label, and give new numbers to areas that share a number but are far apart.

    Two areas of one number are far apart if the gap between their bounding boxes is more than the longer side of the
    larger box, and no chain of nearer areas of that number links them. Nearer areas stay one object, for example the
    two parts of a nucleus below another one.
    Invariant: the numbering of objects has no influence; quarter turns and reflections commute, except for the new
    numbers; idempotent. The foreground does not change, and neither do numbers of at most 16 bits without such areas.
    Limits: if a number is above 65535, all numbers become 1, 2, 3 and so on in their order. A label counts as classes
    if its numbers have more than five areas in the mean. A label with only one number also counts as binary if at least
    three of its areas, or two that are far apart, have a quarter of the size of the largest area or more. Areas below a
    hundredth of the size of the largest area of their number are not counted.

    Args:
        label: whole numbers (H, W) of any type in any order, 0 for background.
        file: name of the label in messages.

    Raises:
        InputError: a number is negative, not whole or too large for the type to be exact, or the label is binary or
            holds classes.

    >>> part_instances(np.array([[7, 0, 0, 7, 2]]), "a.png")
    Parted(label=array([[7, 0, 0, 8, 2]], dtype=int32), parted=1)
    """
    _check_numbers(label, file)
    areas = _find_areas(label)
    count, parted, objects = len(areas.values), 0, areas.owners
    if len(objects) > count:
        sets = _sets(areas, file)
        _check_meaning(areas, sets, file)
        kept = np.full(count, len(sets))
        np.minimum.at(kept, areas.owners, sets)  # the first set of a number keeps the number
        others = np.flatnonzero(sets != kept[areas.owners])
        new_sets, new_index = np.unique(sets[others], return_inverse=True)
        objects = areas.owners.copy()
        objects[others] = count + new_index
        parted = len(new_sets)
    largest = int(areas.values.max(initial=0))
    numbers = np.arange(1, count + parted + 1)
    if largest + parted <= MAX_INSTANCES:
        numbers[:count] = areas.values
        numbers[count:] += largest - count
    return Parted(np.append(0, numbers[objects]).astype(np.int32)[areas.parts], parted)


def parted_remark(count: int) -> str:
    """Return the message for users about objects that got new numbers."""
    return f"{count} object(s) lie apart from others of the same number; they get new numbers"


def _check_numbers(label: np.ndarray, file: object) -> None:
    """Raise an error for numbers that are negative, not whole, or may have been rounded."""
    if label.dtype.kind == "f":
        exact = 2 ** (np.finfo(label.dtype).nmant + 1)  # a float of this type skips whole numbers above it
        invalid = label[~((label == np.floor(label)) & (np.abs(label) < exact))]
        if invalid.size:
            got = f"{invalid[0]:.10g} of {label.dtype}"
            raise InputError(f"{file}: an instance label holds whole numbers; got {got}; save integers")
    if label.min(initial=0) < 0:
        raise InputError(f"{file}: an instance label holds numbers from 0 on; got {label.min():g}; correct the label")


def _find_areas(label: np.ndarray) -> Areas:
    parts, count = connected_parts(label.astype(np.int64), background=0, return_num=True, connectivity=2)
    values = np.zeros(count + 1, label.dtype)
    values[parts] = label
    numbers, owners = np.unique(values[1:], return_inverse=True)
    return Areas(parts, owners, numbers)


def _sets(areas: Areas, file: object) -> np.ndarray:
    """Return the set (K,) of near areas that each area belongs to, as the index of the first area of the set."""
    area_counts = np.bincount(areas.owners)
    if area_counts.max() > MOST_AREAS:
        raise InputError(_no_instances(areas, file))
    indices = np.flatnonzero(area_counts[areas.owners] > 1)
    indices = indices[np.argsort(areas.owners[indices], kind="stable")]
    owners = areas.owners[indices]
    slices = ndimage.find_objects(areas.parts)
    boxes = np.array([[(side.start, side.stop) for side in slices[index]] for index in indices])
    sides = (boxes[..., 1] - boxes[..., 0]).max(axis=1)
    pairs = []
    for step in range(1, area_counts.max()):  # pairs of each area and the one at distance `step` in the list
        same = np.flatnonzero(owners[step:] == owners[:-step])
        first, second = boxes[same], boxes[same + step]
        gaps = np.maximum(first[..., 0] - second[..., 1], second[..., 0] - first[..., 1]).clip(min=0)
        near = np.hypot(*gaps.T) <= np.maximum(sides[same], sides[same + step])
        pairs.append(np.stack([same[near], same[near] + step]))
    first, second = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(first), bool), (first, second)), shape=(len(indices), len(indices)))
    count, members = connected_components(graph, directed=False)
    first_areas = np.full(count, len(areas.owners))
    np.minimum.at(first_areas, members, indices)
    sets = np.arange(len(areas.owners))
    sets[indices] = first_areas[members]
    return sets


def _check_meaning(areas: Areas, sets: np.ndarray, file: object) -> None:
    """Raise an error for binary masks and classes."""
    pixels = np.bincount(areas.parts.ravel())[1:]
    largest = np.zeros(len(areas.values))
    np.maximum.at(largest, areas.owners, pixels)
    share = pixels / largest[areas.owners]
    alike = share >= ALIKE
    binary = len(areas.values) == 1 and (alike.sum() > 2 or len(np.unique(sets[alike])) > 1)
    if binary or (share >= SPECK).sum() > AREAS_PER_NUMBER * len(areas.values):
        raise InputError(_no_instances(areas, file))


def _no_instances(areas: Areas, file: object) -> str:
    return (
        f"{file}: {len(areas.values)} number(s) for {len(areas.owners)} separate areas, as a binary mask or classes "
        "have; number the nuclei, or prepare the masks by `prepare folder` with --threshold 1, which numbers connected "
        "areas, or with --label-kind classes, and train without directions"
    )
