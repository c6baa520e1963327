"""Areas of single objects, which may overlap, to one instance label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.measure import label as connected_parts

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
    Invariant: the foreground is the union of the areas; every pixel of it has the number of an area that holds it.
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


AREAS_PER_NUMBER = 5  # more are no parts of one object, in the mean over the numbers
MOST_AREAS = 1000  # of a single number
SPECK, ALIKE = 0.01, 0.25  # share of the largest area of a number: below the first no area, from the second on as large


class Parted(NamedTuple):
    """An instance label whose every number is one object.

    Attributes:
        label: (H, W), int32; 0 is background.
        parted: how many objects lay apart from others of their number and got one of their own.
    """

    label: np.ndarray
    parted: int


class Areas(NamedTuple):
    """The connected areas of an instance label; pixels that touch at a corner are connected.

    Attributes:
        parts: (H, W) number of the area of each pixel, from 1; 0 is background.
        owners: (K,) which number each area has, as its place among the numbers.
        values: the numbers in their order.
    """

    parts: np.ndarray
    owners: np.ndarray
    values: np.ndarray


def part_instances(label: np.ndarray, file: object) -> Parted:
    """Check an instance label, and give areas of one number that lie apart numbers of their own.

    Areas of one number lie apart where the gap between the boxes around them is more than the longer side of the larger
    box, unless others of that number link them. Parts that are nearer stay one object, such as those of a nucleus that
    another one on top cuts in two.
    Invariant: blind to how the objects are numbered; commutes with quarter turns and mirrors, but for the new numbers;
    idempotent. The foreground stays as it is, and so do numbers of at most 16 bits that need no change.
    Limits: where a number is above 65535, all become 1, 2, 3 and so on, in their order. A mask is taken as binary where
    its only number has three areas or more that are about alike in size (to a quarter), two such that lie apart, or
    more than five areas; and as classes where numbers have more than five areas in the mean. Areas of less than a
    hundredth of the largest one of their number do not count for that.

    Args:
        label: (H, W) whole numbers of any type, in any numbering; 0 is background.
        file: what messages call it.

    Raises:
        InputError: for numbers that are not whole, below 0 or larger than their type holds exactly; and for a mask that
            is binary or holds classes.
    """
    _check_numbers(label, file)
    areas = _find_areas(label)
    count, parted, objects = len(areas.values), 0, areas.owners
    if len(objects) > count:
        sets = _sets(areas, file)
        _check_meaning(areas, sets, file)
        kept = np.full(count, len(sets))
        np.minimum.at(kept, areas.owners, sets)  # the first set of a number keeps it
        others = np.flatnonzero(sets != kept[areas.owners])
        found, place = np.unique(sets[others], return_inverse=True)
        objects = areas.owners.copy()
        objects[others] = count + place
        parted = len(found)
    largest = int(areas.values.max(initial=0))
    numbers = np.arange(1, count + parted + 1)
    if largest + parted <= MAX_INSTANCES:
        numbers[:count] = areas.values
        numbers[count:] += largest - count
    return Parted(np.append(0, numbers[objects]).astype(np.int32)[areas.parts], parted)


def parted_remark(count: int) -> str:
    """What a user is told about objects that got numbers of their own."""
    return f"{count} object(s) lie apart from others of their number; given numbers of their own"


def _check_numbers(label: np.ndarray, file: object) -> None:
    """Refuse numbers that are not whole, are below 0, or may have been rounded."""
    if label.dtype.kind == "f":
        exact = 2 ** (np.finfo(label.dtype).nmant + 1)  # above, a float of this type skips whole numbers
        odd = label[~((label == np.floor(label)) & (np.abs(label) < exact))]
        if odd.size:
            raise InputError(
                f"{file}: an instance label holds whole numbers; got {odd[0]:.10g} of {label.dtype}; save integers"
            )
    if label.min(initial=0) < 0:
        raise InputError(f"{file}: an instance label holds numbers from 0 on; got {label.min():g}; correct the label")


def _find_areas(label: np.ndarray) -> Areas:
    parts, count = connected_parts(label.astype(np.int64), background=0, return_num=True, connectivity=2)
    values = np.zeros(count + 1, label.dtype)
    values[parts] = label
    found, owners = np.unique(values[1:], return_inverse=True)
    return Areas(parts, owners, found)


def _sets(areas: Areas, file: object) -> np.ndarray:
    """(K,) the areas that lie together, by the place of the first of them."""
    several = np.bincount(areas.owners)
    if several.max() > MOST_AREAS:
        raise InputError(_no_instances(areas, file))
    places = np.flatnonzero(several[areas.owners] > 1)
    places = places[np.argsort(areas.owners[places], kind="stable")]
    owners = areas.owners[places]
    slices = ndimage.find_objects(areas.parts)
    boxes = np.array([[(side.start, side.stop) for side in slices[place]] for place in places])
    sides = (boxes[..., 1] - boxes[..., 0]).max(axis=1)
    pairs = []
    for step in range(1, several.max()):  # each area and the step-th one after it
        same = np.flatnonzero(owners[step:] == owners[:-step])
        one, two = boxes[same], boxes[same + step]
        gaps = np.maximum(one[..., 0] - two[..., 1], two[..., 0] - one[..., 1]).clip(min=0)
        near = np.hypot(*gaps.T) <= np.maximum(sides[same], sides[same + step])
        pairs.append(np.stack([same[near], same[near] + step]))
    one, two = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(one), bool), (one, two)), shape=(len(places), len(places)))
    count, members = connected_components(graph, directed=False)
    first = np.full(count, len(areas.owners))
    np.minimum.at(first, members, places)
    sets = np.arange(len(areas.owners))
    sets[places] = first[members]
    return sets


def _check_meaning(areas: Areas, sets: np.ndarray, file: object) -> None:
    """Refuse binary masks and classes."""
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
        "areas, or with --label-kind classes and train without directions"
    )
