"""Images at many scales, one rescaled image at a time."""

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
FROM_MASK = "mask"  # of `label_source`: instances that are no more than the connected areas of a mask


class ScaleDataset(Dataset):
    """Every image of a data set at every scale: item i is image i // len(scales) at scale i % len(scales).

    Images are rescaled when they are asked for (image bilinear and antialiased, labels nearest), so that one rescaled
    image is in memory. What comes before, such as stain normalisation, is done once an image as long as items are
    asked for in order.

    Args:
        data: preprocessed items with image and label (C, H, W), such as a MONAI dataset with its transform; perhaps
            with `instances` (1, H, W), which are left out where `label_source` says that they are only the connected
            areas of a mask.
        scales: test scales.

    Raises:
        InputError: where there is no image.
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
        image, place = divmod(index, len(self.scales))
        item = self.original(image)
        result = {}
        modes: dict[str, str] = {CommonKeys.IMAGE: "bilinear", CommonKeys.LABEL: "nearest"}
        if INSTANCES_KEY in item and item.get("label_source") != FROM_MASK:
            modes[INSTANCES_KEY] = "nearest"
        for key, mode in modes.items():
            tensor = RescaleByFactor(self.scales[place], mode)(convert_to_tensor(item[key], track_meta=True))
            if key == INSTANCES_KEY:
                tensor = tensor.to(torch.int64)  # torch cannot collate every integer type
            meta = {SCALE_KEY: self.scales[place], IMAGE_INDEX_KEY: image}  # what else there is may not collate
            result[str(key)] = MetaTensor(tensor, meta=meta)
        return result

    def original(self, image: int) -> Mapping[str, Any]:
        """Preprocessed item at scale 1; the last one asked for is kept."""
        if self._current is None or self._current[0] != image:
            self._current = (image, self.data[image])
        return self._current[1]
