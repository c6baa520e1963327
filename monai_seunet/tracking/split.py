"""The split of a data set into sections as one word, for tags and reports."""

from __future__ import annotations

import hashlib
import json

from monai_seunet.data.datalist import SECTIONS, PreparedDataset

_FOLD = "-fold"


def split_hash(dataset: PreparedDataset) -> str:
    """Return eight hexadecimal digits that identify the split of the images, whatever the folder of the data set.

    All folds of a cross-validation have the same digits, and the number of the fold behind them: `1a2b3c4d-fold0of5`.
    """
    names = {section: [dataset.name_of(item) for item in getattr(dataset, section)] for section in SECTIONS}
    if dataset.fold is None:
        return _digits(names)
    fold, folds = dataset.fold
    whole = {"test": names["test"], "folds": sorted(names["training"] + names["validation"])}
    return f"{_digits(whole)}{_FOLD}{fold}of{folds}"


def without_fold(split: str) -> str:
    """Return the part of a split that all folds of a cross-validation share.

    >>> without_fold("1a2b3c4d-fold0of5")
    '1a2b3c4d'
    """
    return split.partition(_FOLD)[0]


def folds_of(split: str) -> int:
    """Return the number of folds of the cross-validation that a split belongs to; 1 for another split.

    >>> folds_of("1a2b3c4d-fold0of5"), folds_of("1a2b3c4d")
    (5, 1)
    """
    return int(split.partition(_FOLD)[2].partition("of")[2] or 1)


def _digits(names: dict[str, list[str]]) -> str:
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()[:8]
