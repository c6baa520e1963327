"""Scale augmentation: rescaling of an image and its labels by a random factor."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import Randomizable, RandomizableTransform

from monai_seunet.transforms.spatial.array import Resampling
from monai_seunet.transforms.spatial.dictionary import Rescaled
from monai_seunet.transforms.spatial.functional import scaled_size
from monai_seunet.utils.errors import InputError


class RandRescale(RandomizableTransform, Resampling):
    """Rescale an image by a random factor, log-uniform in a range: (C, H, W) -> (C, H * factor, W * factor), rounded.

    Invariant: for a range (1 / a, a), enlarging and shrinking by the same ratio are equally likely. The affine and
    `inverse` behave as in `RescaleByFactor`.

    Args:
        factors: range (smallest, largest) of the new size divided by the old size.
        prob: probability that an image is rescaled.
        mode: `bilinear` (antialiased, for images and probabilities) or `nearest` (for labels).

    Raises:
        InputError: the factors are not two positive numbers in increasing order.

    >>> RandRescale((0.5, 0.5))(torch.zeros(3, 40, 60)).shape
    torch.Size([3, 20, 30])
    """

    def __init__(self, factors: Sequence[float], prob: float = 1.0, mode: str = "bilinear") -> None:
        RandomizableTransform.__init__(self, prob)
        Resampling.__init__(self, mode)
        if not _is_range(factors):
            raise InputError(f"factors of scale augmentation are {factors}; give [smallest, largest], as [0.25, 4]")
        self.factors = tuple(factors)
        self.factor = 1.0

    def randomize(self, data: object = None) -> None:
        """Draw the factor, which is 1 for an image that is not rescaled."""
        super().randomize(None)
        smallest, largest = (math.log(factor) for factor in self.factors)
        self.factor = math.exp(self.R.uniform(smallest, largest)) if self._do_transform else 1.0

    def __call__(self, img: torch.Tensor, mode: str | None = None, randomize: bool = True) -> torch.Tensor:
        """Rescale `img` (C, H, W); `mode` overrides the mode of the constructor."""
        if randomize:
            self.randomize()
        return self.resample(img, scaled_size(img.shape[1:], [self.factor] * 2), mode)


class RandRescaled(Rescaled, Randomizable):
    """Dictionary form of `RandRescale`, with one factor for all keys; `mode` is one mode, or one for each key."""

    backend = RandRescale.backend

    def __init__(
        self,
        keys: KeysCollection,
        factors: Sequence[float],
        prob: float = 1.0,
        mode: str | Sequence[str] = "bilinear",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, RandRescale(factors, prob), mode, allow_missing_keys)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandRescaled:
        """Set the seed of the random factor."""
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


def _is_range(factors: object) -> bool:
    """Return whether the factors are two positive, finite numbers in increasing order."""
    if not isinstance(factors, Sequence) or len(factors) != 2 or any(isinstance(factor, str) for factor in factors):
        return False
    return 0 < factors[0] <= factors[1] < math.inf


RandRescaleD = RandRescaleDict = RandRescaled
