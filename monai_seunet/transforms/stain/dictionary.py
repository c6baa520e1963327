"""Dictionary forms of the stain transforms."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from monai_seunet.transforms.dictionary import DictionaryForm
from monai_seunet.transforms.stain.array import ProfileLike, RandStainJitter, ReinhardNormalize, StainNormalize
from monai_seunet.transforms.stain.extractors import StainExtractor
from monai_seunet.utils.errors import InputError


class StainNormalized(MapTransform):
    """Dictionary form of `StainNormalize`.

    `source_key` is the key of the source profile of an item, or of its JSON file, such as the profile of its slide.
    """

    backend = StainNormalize.backend

    def __init__(
        self,
        keys: KeysCollection,
        target: ProfileLike,
        method: str | StainExtractor = "vahadane",
        source: ProfileLike | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        on_no_tissue: str = "identity",
        source_key: str | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.normalize = StainNormalize(target, method, source, cache_dir, on_no_tissue)
        self.source_key = source_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Normalise the images of one item."""
        result = dict(data)
        source = None
        if self.source_key is not None:
            if self.source_key not in result:
                keys = sorted(map(str, result))
                raise InputError(f"the item has no entry '{self.source_key}' with its stain profile: {keys}")
            source = result[self.source_key]
        for key in self.key_iterator(result):
            result[key] = self.normalize(result[key], source)
        return result


class RandStainJitterd(Randomizable, MapTransform):
    """Dictionary form of `RandStainJitter`, with the same change for all keys."""

    backend = RandStainJitter.backend

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        alpha: float = 0.2,
        beta: float = 0.1,
        source: ProfileLike | None = None,
        method: str | StainExtractor = "vahadane",
        cache_dir: str | os.PathLike[str] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.jitter = RandStainJitter(prob, alpha=alpha, beta=beta, source=source, method=method, cache_dir=cache_dir)

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> RandStainJitterd:
        """Set the seed of the array transform, which draws all random numbers."""
        super().set_random_state(seed, state)
        self.jitter.set_random_state(seed, state)
        return self

    def randomize(self, data: object = None) -> None:
        """Draw one change for all keys."""
        self.jitter.randomize()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Change the images of one item."""
        result = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            result[key] = self.jitter(result[key], randomize=False)
        return result


class ReinhardNormalized(DictionaryForm):
    """Dictionary form of `ReinhardNormalize`."""

    backend = ReinhardNormalize.backend

    def __init__(
        self,
        keys: KeysCollection,
        mean: Sequence[float],
        std: Sequence[float],
        on_no_tissue: str = "identity",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, ReinhardNormalize(mean, std, on_no_tissue), allow_missing_keys)


StainNormalizeD = StainNormalizeDict = StainNormalized
RandStainJitterD = RandStainJitterDict = RandStainJitterd
ReinhardNormalizeD = ReinhardNormalizeDict = ReinhardNormalized
