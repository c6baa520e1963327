"""Conversion of instance labels to class indices, and checks of labels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor

from monai_seunet.transforms.dictionary import DictionaryForm
from monai_seunet.utils.errors import InputError


class InstancesToClasses(Transform):
    """Convert an instance label to class indices: 0 stays background, and every object becomes class 1.

    Shapes: (1, H, W) -> (1, H, W), of the same dtype.
    Invariant: the numbering of objects has no influence; commutes with rotations and reflections; idempotent.

    Args:
        separate: width in pixels of the background on each side of an edge between two objects, from which a network
            learns to separate them; 0 leaves objects whole.

    Raises:
        InputError: the width is negative.

    >>> InstancesToClasses(separate=1)(torch.tensor([[[3, 3, 7, 7]]]))
    tensor([[[1, 0, 0, 1]]])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, separate: int = 0) -> None:
        if separate < 0:
            raise InputError(f"separate_objects is {separate}; give a number of pixels, 0 to leave objects whole")
        self.separate = int(separate)

    def __call__(self, label: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return class indices."""
        tensor = convert_to_tensor(label, track_meta=True)
        objects = tensor > 0
        if self.separate:
            gap = _touching(tensor)
            for _ in range(self.separate - 1):
                gap = _grown(gap)
            objects = objects & ~gap
        return convert_to_dst_type(objects, dst=label)[0]


def _touching(objects: torch.Tensor) -> torch.Tensor:
    """Return a mask (1, H, W) of the object pixels that share an edge with another object."""
    touching = torch.zeros_like(objects, dtype=torch.bool)
    for axis in (1, 2):
        length = objects.shape[axis] - 1
        first, second = objects.narrow(axis, 0, length), objects.narrow(axis, 1, length)
        border = (first > 0) & (second > 0) & (first != second)
        touching.narrow(axis, 0, length).logical_or_(border)
        touching.narrow(axis, 1, length).logical_or_(border)
    return touching


def _grown(mask: torch.Tensor) -> torch.Tensor:
    """Dilate a mask (1, H, W) by the four neighbours of each pixel."""
    grown = mask.clone()
    for axis in (1, 2):
        length = mask.shape[axis] - 1
        grown.narrow(axis, 0, length).logical_or_(mask.narrow(axis, 1, length))
        grown.narrow(axis, 1, length).logical_or_(mask.narrow(axis, 0, length))
    return grown


class InstancesToClassesd(DictionaryForm):
    """Dictionary form of `InstancesToClasses`."""

    backend = InstancesToClasses.backend

    def __init__(self, keys: KeysCollection, separate: int = 0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, InstancesToClasses(separate), allow_missing_keys)


class CheckLabels(Transform):
    """Return an image and its label of class indices unchanged, or raise an error if they cannot be used.

    Shapes: image (C, H, W), label (1, H, W).

    Args:
        num_classes: number of classes N; a label holds 0 to N - 1.
        ignored_label: label value of pixels without annotation, allowed in addition.

    Raises:
        InputError: the image holds NaN or infinity, or the label has several channels, differs from the image in size,
            or holds a value that is not a class index.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, num_classes: int, ignored_label: int | None = None) -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes is {num_classes}; count the background, too: at least 2")
        self.num_classes = num_classes
        self.ignored_label = ignored_label

    def __call__(  # type: ignore[override]
        self, image: NdarrayOrTensor, label: NdarrayOrTensor
    ) -> tuple[NdarrayOrTensor, NdarrayOrTensor]:
        """Check one image and its label."""
        _check_finite(convert_to_tensor(image, track_meta=True))
        size, label_size = list(image.shape[1:]), list(label.shape[1:])
        if label.shape[0] != 1 or size != label_size:
            raise InputError(
                f"{file_of(label)}: the label has {label.shape[0]} channel(s) of {label_size} pixels, its image "
                f"{file_of(image)} has {size}; a label needs one channel of the size of its image"
            )
        self._check_classes(convert_to_tensor(label, track_meta=True))
        return image, label

    def _check_classes(self, label: torch.Tensor) -> None:
        valid = (label >= 0) & (label < self.num_classes) & (label == label.floor())
        if self.ignored_label is not None:
            valid |= label == self.ignored_label
        if not bool(valid.all()):
            value = float(label[~valid].flatten()[0])
            raise InputError(
                f"{file_of(label)}: the label holds {value:g}, which is no class index below {self.num_classes}; "
                "correct the label, the number of classes or the label kind (instances or classes)"
            )


class CheckLabelsd(MapTransform):
    """Dictionary form of `CheckLabels`."""

    backend = CheckLabels.backend

    def __init__(
        self,
        num_classes: int,
        ignored_label: int | None = None,
        image_key: str = "image",
        label_key: str = "label",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__((image_key, label_key), allow_missing_keys)
        self.check = CheckLabels(num_classes, ignored_label)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check the image and the label of one item."""
        present = [data[key] for key in self.key_iterator(dict(data))]
        if len(present) == 2:
            self.check(*present)
        return dict(data)


def _check_finite(image: torch.Tensor) -> None:
    if image.is_floating_point() and not bool(torch.isfinite(image).all()):
        count = int((~torch.isfinite(image)).sum())
        raise InputError(f"{file_of(image)}: the image holds {count} values that are NaN or infinite; export it again")


def file_of(data: NdarrayOrTensor) -> str:
    """Return the file name in the meta data of an array, or `(no file)`."""
    return str(data.meta.get("filename_or_obj", "(no file)")) if isinstance(data, MetaTensor) else "(no file)"
