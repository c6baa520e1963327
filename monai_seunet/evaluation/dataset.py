"""Data set of images at many scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from monai.data import MetaTensor
from monai.utils import CommonKeys, convert_to_tensor
from torch.utils.data import Dataset

from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY, SCALE_KEY
from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.utils.errors import InputError

INSTANCES_KEY = "instances"
FROM_MASK = "mask"  # value of `label_source` for instances that are only connected components of a mask


class ScaleDataset(Dataset):
    """Data set with every image at every scale: item i is image i // len(scales) at scale number i % len(scales).

    An item is rescaled on request: the image bilinearly with antialiasing, labels to the nearest pixel. Reading items
    in order preprocesses each image once.

    Args:
        data: preprocessed items with image and label (C, H, W) and optional `instances` (1, H, W); instances whose
            `label_source` is `mask` are left out, because they are only connected components.
        scales: test scales.

    Raises:
        InputError: for a data set without images.

    >>> images = [{"image": torch.zeros(3, 8, 8), "label": torch.zeros(1, 8, 8)}]
    >>> ScaleDataset(images, [0.5, 1.0, 2.0])[2]["image"].shape
    torch.Size([3, 16, 16])
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], scales: Sequence[float]) -> None:
        if not len(data):
            raise InputError("there is no image to evaluate; name a section with images and let max_images be above 0")
        self.data = data
        self.scales = tuple(scales)
        self._current: tuple[int, Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        return len(self.data) * len(self.scales)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        image, scale_index = divmod(index, len(self.scales))
        item = self.original(image)
        scale, result = self.scales[scale_index], {}
        modes: dict[str, str] = {CommonKeys.IMAGE: "bilinear", CommonKeys.LABEL: "nearest"}
        if INSTANCES_KEY in item and item.get("label_source") != FROM_MASK:
            modes[INSTANCES_KEY] = "nearest"
        for key, mode in modes.items():
            tensor = RescaleByFactor(scale, mode)(convert_to_tensor(item[key], track_meta=True))
            if key == INSTANCES_KEY:
                tensor = tensor.to(torch.int64)  # torch cannot collate every integer type
            meta = {SCALE_KEY: scale, IMAGE_INDEX_KEY: image}  # other keys may not collate
            result[str(key)] = MetaTensor(tensor, meta=meta)
        return result

    def original(self, image: int) -> Mapping[str, Any]:
        """Return the preprocessed item at scale 1; the last item is cached."""
        if self._current is None or self._current[0] != image:
            self._current = (image, self.data[image])
        return self._current[1]
