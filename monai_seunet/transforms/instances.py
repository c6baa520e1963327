"""A check of instance labels."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_numpy

from monai_seunet.data.instances import part_instances, parted_remark
from monai_seunet.transforms.labels import file_of
from monai_seunet.utils.errors import InputError


class CheckInstances(Transform):
    """Check that an instance label has one number for each object, and renumber separate areas of one number.

    A warning names each file whose objects are renumbered; see `part_instances`.
    Shapes: (1, H, W) -> (1, H, W), int32.

    Args:
        label_kind: content of the labels of the data set; `classes` raises an error at the first label.

    Raises:
        InputError: the label holds classes or a binary mask, has several channels, or holds negative or fractional
            numbers.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(self, label_kind: str = "instances") -> None:
        self.label_kind = label_kind

    def __call__(self, instances: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return the checked label."""
        file = file_of(instances)
        if self.label_kind != "instances":
            raise InputError(
                f"{file}: the label holds {self.label_kind}, but directions need one number for each nucleus; prepare "
                "numbered masks with --label-kind instances, or train with directions false"
            )
        if instances.shape[0] != 1:
            raise InputError(f"{file}: the label has {instances.shape[0]} channels; save one channel of object numbers")
        label, parted = part_instances(convert_to_numpy(instances)[0], file)
        if parted:
            warnings.warn(f"{file}: {parted_remark(parted)}", UserWarning, stacklevel=3)
        return convert_to_dst_type(label[None], dst=instances, dtype=np.int32)[0]


class CheckInstancesd(MapTransform):
    """Dictionary form of `CheckInstances`."""

    backend = CheckInstances.backend

    def __init__(self, keys: KeysCollection, label_kind: str = "instances", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.check = CheckInstances(label_kind)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of `data` whose instance labels are checked."""
        result = dict(data)
        if result.get("label_source") == "mask":
            warnings.warn("the labels were made from masks: nuclei that touch count as one", stacklevel=2)
        for key in self.key_iterator(result):
            result[key] = self.check(result[key])
        return result


CheckInstancesD = CheckInstancesDict = CheckInstancesd
