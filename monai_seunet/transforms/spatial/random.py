"""Scale augmentation: a random part of an image and its labels at a random scale."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform, SpatialCrop
from monai.utils import TransformBackends, ensure_tuple_rep

from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.transforms.spatial.functional import scaled_size
from monai_seunet.utils.errors import InputError


class RandRescaledCropd(MapTransform, RandomizableTransform):
    """Cut a random part of an image, and rescale it to a crop: (C, H, W) -> (C, crop_size, crop_size).

    The factor is log-uniform in a range. The part has 1 / factor times the side of the crop, so the time does not
    depend on the size of the image, and a small scale shows a large field. The image is the limit of the part: a crop
    of a smaller image is smaller.

    Invariant: all keys have the same part and factor. For a range (1 / a, a), enlarging and shrinking by the same ratio
    are equally likely.

    Args:
        keys: keys of images and labels of one size.
        crop_size: side of the crop in pixels.
        factors: range (smallest, largest) of the new size divided by the old size; None does not rescale.
        prob: probability that a crop is rescaled.
        mode: `bilinear` (antialiased, for images) or `nearest` (for labels), for all keys or for each.
        allow_missing_keys: False to raise an error for a missing key.

    Raises:
        InputError: the factors are not two positive numbers in increasing order.

    >>> crop = RandRescaledCropd("image", crop_size=20, factors=(0.5, 0.5))
    >>> crop({"image": torch.zeros(3, 40, 60)})["image"].shape
    torch.Size([3, 20, 20])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI defines the name and type)

    def __init__(
        self,
        keys: KeysCollection,
        crop_size: int,
        factors: Sequence[float] | None = None,
        prob: float = 1.0,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        if factors is not None and not _is_range(factors):
            raise InputError(f"factors of scale augmentation are {factors}; give [smallest, largest], as [0.25, 4]")
        self.crop_size, self.factors = crop_size, None if factors is None else tuple(factors)
        self.rescalings = [RescaleByFactor(1.0, kind) for kind in ensure_tuple_rep(mode, len(self.keys))]
        self.factor, self.place = 1.0, (0.0, 0.0)

    def randomize(self, data: object = None) -> None:
        """Draw the factor, which is 1 for a crop that is not rescaled, and the place."""
        super().randomize(None)
        self.factor = 1.0
        if self._do_transform and self.factors is not None:
            smallest, largest = (math.log(factor) for factor in self.factors)
            self.factor = math.exp(self.R.uniform(smallest, largest))
        self.place = (self.R.random(), self.R.random())

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Cut and rescale every key."""
        self.randomize()
        result = dict(data)
        for key, rescaling in self.key_iterator(result, self.rescalings):
            size = result[key].shape[1:]
            part = [min(side, math.ceil(self.crop_size / self.factor)) for side in size]
            starts = [int(at * (side - some + 1)) for at, side, some in zip(self.place, size, part, strict=True)]
            cut = SpatialCrop(roi_slices=[slice(s, s + some) for s, some in zip(starts, part, strict=True)])(
                result[key]
            )
            new_size = [min(self.crop_size, side) for side in scaled_size(part, [self.factor] * 2)]
            result[key] = cut if new_size == part else rescaling.resample(cut, new_size)
        return result


def _is_range(factors: object) -> bool:
    """Return whether the factors are two positive, finite numbers in increasing order."""
    if not isinstance(factors, Sequence) or len(factors) != 2 or any(isinstance(factor, str) for factor in factors):
        return False
    return 0 < factors[0] <= factors[1] < math.inf


RandRescaledCropD = RandRescaledCropDict = RandRescaledCropd
