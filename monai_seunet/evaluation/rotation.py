"""Images in several poses: as they are, turned by quarters and mirrored, without interpolation."""

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
    """Bring an image into one of `POSES`: mirror it from left to right, then turn it counter-clockwise.

    Shapes: (..., H, W) -> (..., H, W) or (..., W, H).
    Invariant: exact; no pixel changes its value.
    """
    mirrored, turns = divmod(POSES.index(pose), 4)
    return torch.rot90(image.flip(-1) if mirrored else image, turns, (-2, -1))


def crop_to_multiple(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Cut the middle of (..., H, W) to the largest sides that are multiples of `multiple`.

    A quarter turn maps the pooling cells of a network onto each other where its total stride divides both sides: no
    padding is needed, and the bottleneck may have an odd number of cells. (Any even side is padded alike on both ends,
    which keeps the symmetry; an odd one is not.)

    Raises:
        InputError: where a side is shorter than `multiple`.
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
    """Every image of a data set in every pose: item i is image i // len(poses) in pose i % len(poses).

    An item has `image` and `label`, and `instances` where its true objects are known one by one. What comes before,
    such as stain normalisation, is done once an image as long as items are asked for in order.

    Args:
        data: preprocessed items with image and label (C, H, W), perhaps `instances`, and perhaps `label_source`, which
            is `mask` where the instances are only the connected areas of a mask.
        multiple: crop to multiples of this, see `crop_to_multiple`; None to leave the sizes as they are.
        mirror: whether the mirrored image and its quarter turns are evaluated, too.
        object_truth: `auto` (instances where they are known, else the connected areas of the label), `instances` (an
            image without them is refused) or `components` (connected areas always).
        dtype: of the images.

    Raises:
        InputError: where there is no image, or no such `object_truth`.
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
        image, place = divmod(index, len(self.poses))
        meta = {IMAGE_INDEX_KEY: image, POSE_KEY: place}  # what else there is may not collate
        item = self._prepared(image)
        return {key: MetaTensor(posed(value, self.poses[place]), meta=dict(meta)) for key, value in item.items()}

    def _prepared(self, image: int) -> dict[str, torch.Tensor]:
        """The cropped tensors of an image as it is; the last one asked for is kept."""
        if self._current is None or self._current[0] != image:
            self._current = (image, self._prepare(self.data[image]))
        return self._current[1]

    def _prepare(self, item: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        plain = {
            str(key): convert_to_tensor(item[key], track_meta=False) for key in (CommonKeys.IMAGE, CommonKeys.LABEL)
        }
        plain[CommonKeys.IMAGE] = plain[CommonKeys.IMAGE].to(self.dtype)
        if self._has_instances(item):
            instances = convert_to_tensor(item[INSTANCES_KEY], track_meta=False)
            plain[INSTANCES_KEY] = instances.to(torch.int64)  # torch can neither turn nor collate every integer type
        if self.multiple is not None:
            plain = {key: crop_to_multiple(value, self.multiple) for key, value in plain.items()}
        size = list(plain[CommonKeys.IMAGE].shape[-2:])
        if any(side % 2 for side in size):
            logger.warning(
                "%s: sides %s are odd and are padded unevenly, which no network commutes with", _file(item), size
            )
        return plain

    def _has_instances(self, item: Mapping[str, Any]) -> bool:
        if self.object_truth == "components":
            return False
        known = INSTANCES_KEY in item and item.get("label_source") != FROM_MASK
        if self.object_truth == "instances" and not known:
            raise InputError(
                f"{_file(item)}: its objects are not known one by one (classes or a mask); take object_truth "
                "'components', 'auto', or a section whose labels are instances"
            )
        return known


def float_type(precision: str) -> torch.dtype:
    """The type that a network computes in.

    Raises:
        InputError: for anything but `float32` and `float64`.
    """
    if precision not in _PRECISIONS:
        raise InputError(f"precision is '{precision}'; choose {', '.join(_PRECISIONS)}")
    return _PRECISIONS[precision]


def _file(item: Mapping[str, Any]) -> str:
    return str(getattr(item[CommonKeys.LABEL], "meta", {}).get("filename_or_obj", "(no file)"))
