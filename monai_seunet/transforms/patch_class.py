"""Conversion of a pixel label to one class for a whole patch."""

from __future__ import annotations

import torch
from monai.config import KeysCollection
from monai.transforms import Transform
from monai.utils import TransformBackends

from monai_seunet.transforms.dictionary import DictionaryForm
from monai_seunet.utils.errors import InputError


class PatchClass(Transform):
    """Set all pixels of a patch to class 1 if it is rich in foreground, and to class 0 otherwise.

    Shapes: (1, H, W) -> (1, H, W).
    Invariant: the class does not change with rotations and reflections of the patch.

    Args:
        share: smallest share of foreground pixels in a rich patch, above 0 and below 1.

    Raises:
        InputError: the share is out of range.

    >>> PatchClass(share=0.2)(torch.tensor([[[1, 0, 0]]]))
    tensor([[[1, 1, 1]]])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, share: float = 0.2) -> None:
        if not 0 < share < 1:
            raise InputError(f"share is {share}; give the share of foreground of a rich patch, between 0 and 1")
        self.share = share

    def __call__(self, label: torch.Tensor) -> torch.Tensor:
        """Return the class of the patch at every pixel."""
        rich = (label > 0).double().mean() > self.share
        return torch.full_like(label, int(rich))


class PatchClassd(DictionaryForm):
    """Dictionary form of `PatchClass`."""

    backend = PatchClass.backend

    def __init__(self, keys: KeysCollection, share: float = 0.2, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, PatchClass(share), allow_missing_keys)


PatchClassD = PatchClassDict = PatchClassd
