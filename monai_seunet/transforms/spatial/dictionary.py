"""Dictionary forms of the rescaling transforms, for images with their labels."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform
from monai.utils import ensure_tuple_rep

from monai_seunet.transforms.spatial.array import Resampling, RescaleByFactor, RescaleToMpp


class Rescaled(MapTransform, InvertibleTransform):
    """Base class of the dictionary forms, with a mode for every key and the inverse."""

    def __init__(
        self, keys: KeysCollection, rescale: Resampling, mode: str | Sequence[str], allow_missing_keys: bool
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.modes = ensure_tuple_rep(mode, len(self.keys))
        self.rescale: Any = rescale

    def inverse(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Resample every key to its original size."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.rescale.inverse(result[key])
        return result


class RescaleByFactord(Rescaled):
    """Dictionary form of `RescaleByFactor`; `mode` is one mode for all keys, or one for each key."""

    backend = RescaleByFactor.backend

    def __init__(
        self,
        keys: KeysCollection,
        factor: float,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RescaleByFactor(factor), mode, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Rescale every key."""
        result = dict(data)
        for key, mode in self.key_iterator(result, self.modes):
            result[key] = self.rescale(result[key], mode)
        return result


class RescaleToMppd(Rescaled):
    """Dictionary form of `RescaleToMpp`; `mode` is one mode for all keys, or one for each key.

    The first key is that of the image. It determines the size of all keys, because labels have no mpp.
    """

    backend = RescaleToMpp.backend

    def __init__(
        self,
        keys: KeysCollection,
        target_mpp: float,
        mpp: float | None = None,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RescaleToMpp(target_mpp, mpp), mode, allow_missing_keys)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Rescale every key to the size of the first."""
        result = dict(data)
        size = None
        for key, mode in self.key_iterator(result, self.modes):
            size = size or self.rescale.size_of(result[key])
            result[key] = self.rescale.resample(result[key], size, mode)
        return result


RescaleByFactorD = RescaleByFactorDict = RescaleByFactord
RescaleToMppD = RescaleToMppDict = RescaleToMppd
