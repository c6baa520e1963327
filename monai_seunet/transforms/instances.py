"""Instance labels that mean what they say: one number for each object, and only one."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_numpy
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.measure import label as connected_parts

from monai_seunet.data.instances import MAX_INSTANCES
from monai_seunet.transforms.labels import file_of
from monai_seunet.utils.errors import InputError

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
    Law: blind to how the objects are numbered; commutes with quarter turns and mirrors, but for the new numbers;
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


class CheckInstances(Transform):
    """Refuse an instance label that does not tell objects apart, and part those that have one number by mistake.

    See `part_instances`. A warning names the file where objects were parted.

    Shapes: (1, H, W) -> (1, H, W), int32.

    Args:
        label_kind: what the labels of the data set hold; `classes` is refused with the first label.

    Raises:
        InputError: naming the file, where the labels are classes or a binary mask, have several channels, or numbers
            that are not whole or below 0.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(self, label_kind: str = "instances") -> None:
        self.label_kind = label_kind

    def __call__(self, instances: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return `instances`, checked."""
        file = file_of(instances)
        if self.label_kind != "instances":
            raise InputError(
                f"{file}: the label holds {self.label_kind}, but directions need one number for each nucleus; prepare "
                "numbered masks with --label-kind instances, or train with directions false"
            )
        if instances.shape[0] != 1:
            raise InputError(
                f"{file}: the label has {instances.shape[0]} channels; save it with one channel of object numbers"
            )
        label, parted = part_instances(convert_to_numpy(instances)[0], file)
        if parted:
            warnings.warn(f"{file}: {parted_remark(parted)}", UserWarning, stacklevel=3)
        return convert_to_dst_type(label[None], dst=instances, dtype=np.int32)[0]


class CheckInstancesd(MapTransform):
    """Dictionary form of `CheckInstances`.

    Args:
        keys: the instance labels.
        label_kind: as there.
        allow_missing_keys: whether items may lack a key.
    """

    backend = CheckInstances.backend

    def __init__(self, keys: KeysCollection, label_kind: str = "instances", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.check = CheckInstances(label_kind)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of `data` whose instance labels are checked."""
        result = dict(data)
        if result.get("label_source") == "mask":
            warnings.warn("nuclei of labels that were made from masks: those that touch are taken as one", stacklevel=2)
        for key in self.key_iterator(result):
            result[key] = self.check(result[key])
        return result


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


CheckInstancesD = CheckInstancesDict = CheckInstancesd
