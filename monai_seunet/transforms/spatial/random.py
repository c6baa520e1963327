"""Scale augmentation: rescale an image and its labels by a random factor."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import InvertibleTransform, MapTransform, RandomizableTransform
from monai.utils import ensure_tuple_rep

from monai_seunet.transforms.spatial.array import Resampling
from monai_seunet.transforms.spatial.functional import scaled_size
from monai_seunet.utils.errors import InputError


class RandRescale(RandomizableTransform, Resampling):
    """Rescale an image by a random factor, log-uniform in a range: (C, H, W) -> (C, H * factor, W * factor), rounded.

    Invariant: enlarging and shrinking by the same ratio are equally likely where the range is (1 / a, a). Affine and
    `inverse` as for `RescaleByFactor`.

    Args:
        factors: (smallest, largest) new size over old size.
        prob: how often an image is rescaled.
        mode: `bilinear` (antialiased, for images and probabilities) or `nearest` (for labels).

    Raises:
        InputError: for factors that are not two positive numbers in rising order.
    """

    def __init__(self, factors: Sequence[float], prob: float = 1.0, mode: str = "bilinear") -> None:
        RandomizableTransform.__init__(self, prob)
        Resampling.__init__(self, mode)
        if not _is_range(factors):
            raise InputError(
                f"factors of scale augmentation are {factors}; give [smallest, largest], such as [0.25, 4]"
            )
        self.factors = tuple(factors)
        self.factor = 1.0

    def randomize(self, data: object = None) -> None:
        """Draw the factor; 1 where the image stays as it is."""
        super().randomize(None)
        smallest, largest = (math.log(factor) for factor in self.factors)
        self.factor = math.exp(self.R.uniform(smallest, largest)) if self._do_transform else 1.0

    def __call__(self, img: torch.Tensor, mode: str | None = None, randomize: bool = True) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` replaces the one given at construction."""
        if randomize:
            self.randomize()
        return self.resample(img, scaled_size(img.shape[1:], [self.factor] * 2), mode)


class RandRescaled(MapTransform, RandomizableTransform, InvertibleTransform):
    """Dictionary form of `RandRescale`: one factor for all keys.

    Args:
        keys: items to rescale.
        factors: (smallest, largest) new size over old size.
        prob: how often an item is rescaled.
        mode: `bilinear` or `nearest`, one for all keys or one for each.
        allow_missing_keys: skip keys that an item does not have.

    Raises:
        InputError: for factors that are not two positive numbers in rising order.
    """

    backend = RandRescale.backend

    def __init__(
        self,
        keys: KeysCollection,
        factors: Sequence[float],
        prob: float = 1.0,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandomizableTransform.__init__(self, prob)
        self.modes = ensure_tuple_rep(mode, len(self.keys))
        self.rescale = RandRescale(factors, prob)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandRescaled:
        """Seed the draws."""
        super().set_random_state(seed, state)
        self.rescale.set_random_state(state=self.R)
        return self

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Rescale every key by the same factor."""
        result = dict(data)
        self.rescale.randomize()
        for key, mode in self.key_iterator(result, self.modes):
            result[key] = self.rescale(result[key], mode, randomize=False)
        return result

    def inverse(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Undo it for every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.rescale.inverse(result[key])
        return result


def _is_range(factors: object) -> bool:
    """Whether these are two positive, finite numbers, the second at least the first."""
    if not isinstance(factors, Sequence) or len(factors) != 2 or any(isinstance(f, str) for f in factors):
        return False
    return 0 < factors[0] <= factors[1] < math.inf


RandRescaleD = RandRescaleDict = RandRescaled
