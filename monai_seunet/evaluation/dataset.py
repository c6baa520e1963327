"""Images at many scales, one rescaled image at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monai.data import MetaTensor
from monai.utils import CommonKeys, convert_to_tensor
from torch.utils.data import Dataset

from monai_seunet.errors import InputError
from monai_seunet.metrics.multi_scale import SCALE_KEY
from monai_seunet.transforms.spatial.dictionary import RescaleByFactord

IMAGE_INDEX_KEY = "test_image"


class ScaleDataset(Dataset):
    """Every image of a data set at every scale: item i is image i // len(scales) at scale i % len(scales).

    Images are rescaled when they are asked for (image bilinear and antialiased, label nearest), so that one rescaled
    image is in memory. What comes before, such as stain normalisation, is done once an image as long as items are
    asked for in order.

    Args:
        data: preprocessed items with image and label (C, H, W), such as a MONAI dataset with its transform.
        scales: test scales.
        max_images: use this many of the first images; None for all.

    Raises:
        InputError: for `max_images` below 1.
    """

    def __init__(
        self, data: Sequence[Mapping[str, Any]], scales: Sequence[float], max_images: int | None = None
    ) -> None:
        if max_images is not None and max_images < 1:
            raise InputError(f"max_images is {max_images}; give at least 1, or null for all images")
        self.data = data
        self.scales = tuple(scales)
        self.num_images = len(data) if max_images is None else min(max_images, len(data))
        self._current: tuple[int, Mapping[str, Any]] | None = None

    def __len__(self) -> int:
        return self.num_images * len(self.scales)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        image, place = divmod(index, len(self.scales))
        keys = (CommonKeys.IMAGE, CommonKeys.LABEL)
        item = {key: convert_to_tensor(self.original(image)[key], track_meta=True) for key in keys}
        rescale = RescaleByFactord(keys, self.scales[place], mode=("bilinear", "nearest"))
        rescaled = rescale(item)
        for key in keys:
            tensor: MetaTensor = rescaled[key]
            tensor.meta[SCALE_KEY] = self.scales[place]
            tensor.meta[IMAGE_INDEX_KEY] = image
        return rescaled

    def original(self, image: int) -> Mapping[str, Any]:
        """Preprocessed item at scale 1; the last one asked for is kept."""
        if self._current is None or self._current[0] != image:
            self._current = (image, self.data[image])
        return self._current[1]
