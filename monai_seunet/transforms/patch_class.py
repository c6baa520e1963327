"""From the label of every pixel to one class for a patch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends

from monai_seunet.utils.errors import InputError


class PatchClass(Transform):
    """Say of a patch whether it is rich in foreground: class 1 everywhere where it is, else class 0 everywhere.

    Shapes: (1, H, W) -> the same.
    Invariant: unchanged by turning and mirroring the patch.

    Args:
        share: of the pixels that have to be foreground in a rich patch, above 0 and below 1.

    Raises:
        InputError: for a share out of range.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, share: float = 0.2) -> None:
        if not 0 < share < 1:
            raise InputError(f"share is {share}; give the share of foreground of a rich patch, between 0 and 1")
        self.share = share

    def __call__(self, label: torch.Tensor) -> torch.Tensor:
        """Classify the patch of `label`."""
        rich = (label > 0).double().mean() > self.share
        return torch.full_like(label, int(rich))


class PatchClassd(MapTransform):
    """Dictionary form of `PatchClass`.

    Args:
        keys: the labels.
        share: see `PatchClass`.
        allow_missing_keys: skip keys that an item does not have.
    """

    backend = PatchClass.backend

    def __init__(self, keys: KeysCollection, share: float = 0.2, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.classify = PatchClass(share)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Classify the patch of every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.classify(result[key])
        return result


PatchClassD = PatchClassDict = PatchClassd
