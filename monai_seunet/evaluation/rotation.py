"""Data set of images in several poses: quarter turns and mirror images, without interpolation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.utils import CommonKeys, convert_to_tensor
from torch.utils.data import Dataset

from monai_seunet.evaluation.dataset import FROM_MASK, INSTANCES_KEY
from monai_seunet.metrics.f1_difference import POSE_KEY, POSES
from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY
from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)

OBJECT_TRUTHS = ("auto", "instances", "components")
_PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


def posed(image: torch.Tensor, pose: str) -> torch.Tensor:
    """Transform an image into one of `POSES`: mirror it from left to right if needed, then turn it counter-clockwise.

    Shapes: (..., H, W) -> (..., H, W) or (..., W, H).
    Invariant: no pixel changes its value.
    """
    mirrored, turns = divmod(POSES.index(pose), 4)
    return torch.rot90(image.flip(-1) if mirrored else image, turns, (-2, -1))


def crop_to_multiple(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Crop the centre of (..., H, W) to the largest sides that are multiples of `multiple`.

    Quarter turns map the pooling cells of a network onto each other if its total stride divides both sides, because
    the network then pads nothing. Even sides are padded symmetrically and odd sides are not.

    Raises:
        InputError: for a side shorter than `multiple`.

    >>> crop_to_multiple(torch.zeros(3, 70, 50), 32).shape
    torch.Size([3, 64, 32])
    """
    height, width = (side // multiple * multiple for side in image.shape[-2:])
    if not height or not width:
        raise InputError(
            f"an image of {list(image.shape[-2:])} pixels is smaller than the stride of the network, {multiple}; leave "
            "it out of the section, or set crop_to_multiple to false"
        )
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]


class RotationDataset(Dataset):
    """Data set with every image in every pose: item i is image i // len(poses) in pose number i % len(poses).

    An item has `image`, `label` and, if single objects are labelled, `instances`. Reading items in order preprocesses
    each image once.

    Args:
        data: preprocessed items with image and label (C, H, W), optional `instances` and optional `label_source`; the
            source `mask` means that the instances are only connected components.
        multiple: divisor of the cropped sides, see `crop_to_multiple`; None keeps the sizes.
        mirror: whether mirrored poses are included.
        object_truth: `auto` for instances if they are labelled and connected components otherwise, `instances` to
            refuse images without them, or `components` for connected components only.
        dtype: data type of the images.

    Raises:
        InputError: for a data set without images, or an unknown `object_truth`.

    >>> images = [{"image": torch.zeros(3, 8, 8), "label": torch.zeros(1, 8, 8)}]
    >>> len(RotationDataset(images)), len(RotationDataset(images, mirror=True))
    (4, 8)
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        multiple: int | None = None,
        mirror: bool = False,
        object_truth: str = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if not len(data):
            raise InputError("there is no image to evaluate; name a section with images and let max_images be above 0")
        if object_truth not in OBJECT_TRUTHS:
            raise InputError(f"object_truth is '{object_truth}'; choose {', '.join(OBJECT_TRUTHS)}")
        self.data = data
        self.multiple = multiple
        self.poses = POSES if mirror else POSES[:4]
        self.object_truth = object_truth
        self.dtype = dtype
        self._current: tuple[int, dict[str, torch.Tensor]] | None = None

    def __len__(self) -> int:
        return len(self.data) * len(self.poses)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        image, pose = divmod(index, len(self.poses))
        meta = {IMAGE_INDEX_KEY: image, POSE_KEY: pose}  # other keys may not collate
        item = self._prepared(image)
        return {key: MetaTensor(posed(value, self.poses[pose]), meta=dict(meta)) for key, value in item.items()}

    def _prepared(self, image: int) -> dict[str, torch.Tensor]:
        """Return the cropped tensors of an image in its original pose; the last image is cached."""
        if self._current is None or self._current[0] != image:
            self._current = (image, self._prepare(self.data[image]))
        return self._current[1]

    def _prepare(self, item: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        keys = (CommonKeys.IMAGE, CommonKeys.LABEL)
        tensors = {str(key): convert_to_tensor(item[key], track_meta=False) for key in keys}
        tensors[CommonKeys.IMAGE] = tensors[CommonKeys.IMAGE].to(self.dtype)
        if self._has_instances(item):
            instances = convert_to_tensor(item[INSTANCES_KEY], track_meta=False)
            tensors[INSTANCES_KEY] = instances.to(torch.int64)  # torch cannot rotate or collate every integer type
        if self.multiple is not None:
            tensors = {key: crop_to_multiple(value, self.multiple) for key, value in tensors.items()}
        size = list(tensors[CommonKeys.IMAGE].shape[-2:])
        if any(side % 2 for side in size):
            logger.warning("%s: sides %s are odd and are padded unevenly, which breaks the symmetry", _file(item), size)
        return tensors

    def _has_instances(self, item: Mapping[str, Any]) -> bool:
        if self.object_truth == "components":
            return False
        labelled = INSTANCES_KEY in item and item.get("label_source") != FROM_MASK
        if self.object_truth == "instances" and not labelled:
            raise InputError(
                f"{_file(item)}: single objects are not labelled (classes or a mask); choose object_truth "
                "'components', 'auto', or a section whose labels are instances"
            )
        return labelled


def float_type(precision: str) -> torch.dtype:
    """Return the data type `float32` or `float64` by its name.

    Raises:
        InputError: for any other name.
    """
    if precision not in _PRECISIONS:
        raise InputError(f"precision is '{precision}'; choose {', '.join(_PRECISIONS)}")
    return _PRECISIONS[precision]


def _file(item: Mapping[str, Any]) -> str:
    return str(getattr(item[CommonKeys.LABEL], "meta", {}).get("filename_or_obj", "(no file)"))
