"""Base class of the dictionary forms of transforms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform


class DictionaryForm(MapTransform):
    """Apply a transform of one array, which is not random, to every key of an item.

    Args:
        keys: keys of the arrays.
        transform: transform of one array.
        allow_missing_keys: whether items may lack a key.
    """

    def __init__(self, keys: KeysCollection, transform: Callable[[Any], Any], allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.transform = transform

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of `data` with the result for every key."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key])
        return result
