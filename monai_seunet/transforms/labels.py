"""Label images: objects to class indices, and the checks that name the file that cannot be used."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor

from monai_seunet.utils.errors import InputError


class InstancesToClasses(Transform):
    """Turn an instance label into class indices: 0 stays background, every object becomes class 1.

    Shapes: (1, H, W) -> (1, H, W), of the same dtype.
    Invariant: blind to how the objects are numbered; commutes with turns and mirrors; idempotent.

    Args:
        separate: where two objects share an edge, this many rows of pixels of each become background, so that a network
            learns to part them; 0 leaves objects whole.

    Raises:
        InputError: for a negative number.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, separate: int = 0) -> None:
        if separate < 0:
            raise InputError(f"separate_objects is {separate}; give a number of pixels, 0 to leave objects whole")
        self.separate = int(separate)

    def __call__(self, label: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return the class indices of `label`."""
        tensor = convert_to_tensor(label, track_meta=True)
        objects = tensor > 0
        if self.separate:
            gap = _touching(tensor)
            for _ in range(self.separate - 1):
                gap = _grown(gap)
            objects = objects & ~gap
        return convert_to_dst_type(objects, dst=label)[0]


def _touching(objects: torch.Tensor) -> torch.Tensor:
    """Which pixels of objects share an edge with another object, (1, H, W) bool."""
    touching = torch.zeros_like(objects, dtype=torch.bool)
    for axis in (1, 2):
        length = objects.shape[axis] - 1
        first, second = objects.narrow(axis, 0, length), objects.narrow(axis, 1, length)
        border = (first > 0) & (second > 0) & (first != second)
        touching.narrow(axis, 0, length).logical_or_(border)
        touching.narrow(axis, 1, length).logical_or_(border)
    return touching


def _grown(mask: torch.Tensor) -> torch.Tensor:
    """The pixels of a mask, (1, H, W) bool, and all that share an edge with them."""
    grown = mask.clone()
    for axis in (1, 2):
        length = mask.shape[axis] - 1
        grown.narrow(axis, 0, length).logical_or_(mask.narrow(axis, 1, length))
        grown.narrow(axis, 1, length).logical_or_(mask.narrow(axis, 0, length))
    return grown


class InstancesToClassesd(MapTransform):
    """Dictionary form of `InstancesToClasses`.

    Args:
        keys: the labels.
        separate: as there.
        allow_missing_keys: whether items may lack a key.
    """

    backend = InstancesToClasses.backend

    def __init__(self, keys: KeysCollection, separate: int = 0, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.convert = InstancesToClasses(separate)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Return a copy of `data` whose labels are class indices."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.convert(result[key])
        return result


class CheckLabels(Transform):
    """Refuse an image and a label of class indices that cannot be trained on or scored.

    Shapes: image (C, H, W), label (1, H, W); both are returned as they are.

    Args:
        num_classes: N; a label holds 0 ... N - 1.
        ignored_label: a further value that a label may hold, for pixels without annotation.

    Raises:
        InputError: naming the file, where the image holds NaN or infinity, the label has not one channel or another
            size than the image, or holds what is no class index.
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
        good = (label >= 0) & (label < self.num_classes) & (label == label.floor())
        if self.ignored_label is not None:
            good |= label == self.ignored_label
        if not bool(good.all()):
            value = float(label[~good].flatten()[0])
            raise InputError(
                f"{file_of(label)}: the label holds {value:g}, which is no class index below {self.num_classes}; "
                "correct the label, the number of classes or the label kind (instances or classes)"
            )


class CheckLabelsd(MapTransform):
    """Dictionary form of `CheckLabels`.

    Args:
        num_classes: N; a label holds 0 ... N - 1.
        ignored_label: a further value that a label may hold, for pixels without annotation.
        image_key: key of the image.
        label_key: key of the label.
        allow_missing_keys: whether an item without image or without label passes unchecked.
    """

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
        """Return `data` as it is, once checked."""
        present = [data[key] for key in self.key_iterator(dict(data))]
        if len(present) == 2:
            self.check(*present)
        return dict(data)


def _check_finite(image: torch.Tensor) -> None:
    if image.is_floating_point() and not bool(torch.isfinite(image).all()):
        count = int((~torch.isfinite(image)).sum())
        raise InputError(f"{file_of(image)}: the image holds {count} values that are NaN or infinite; export it again")


def file_of(data: NdarrayOrTensor) -> str:
    """The file that an array came from, as far as it is known."""
    return str(data.meta.get("filename_or_obj", "(no file)")) if isinstance(data, MetaTensor) else "(no file)"
