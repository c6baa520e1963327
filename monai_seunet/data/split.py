"""Split into training, validation and test by group, so no patient is in two sections."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monai_seunet.data.datalist import PreparedDataset, join_datasets
from monai_seunet.utils.errors import InputError


def check_shares(validation: float, test: float) -> None:
    """Raise an InputError if a share is outside of [0, 1], or if the sum of both is above 1."""
    if not (validation >= 0 and test >= 0 and validation + test <= 1):
        raise InputError(f"shares are validation {validation} and test {test}; give 0 to 1 each, together at most 1")


def split_by_group(groups: Iterable[str], validation: float, test: float = 0.0, seed: int = 0) -> dict[str, str]:
    """Assign every group to a section.

    The groups are sorted by a hash of seed and name; the first share is test, the next share is validation.
    Invariant: the result depends only on the set of names, the shares and the seed; a new group moves few others.

    Args:
        groups: names of patients, slides or images in any order; names may be repeated.
        validation: share of the groups in [0, 1]; a share above 0 gets at least one group, and 1 gets all.
        test: share of the groups, likewise.
        seed: seed of the order.

    Returns:
        section of every group: `training`, `validation` or `test`.

    Raises:
        InputError: the sum of the shares is above 1.
        ValueError: the sum is below 1 and leaves no group for training.

    >>> sorted(split_by_group("abcd", validation=0.25).values())
    ['training', 'training', 'training', 'validation']
    """
    names = _shuffled(groups, seed)
    check_shares(validation, test)
    counts = [max(1, round(share * len(names))) if share > 0 else 0 for share in (test, validation)]
    least = int(validation + test < 1)  # shares of 1 in total intentionally leave no group for training
    if sum(counts) + least > len(names):
        raise ValueError(
            f"{len(names)} group(s) cannot give {counts[1]} to validation, {counts[0]} to test and at least {least} to "
            "training; lower the shares to 0, give 1 to one of them, or add images of other patients or groups"
        )
    first, second = counts[0], sum(counts)
    sections = ["test"] * first + ["validation"] * (second - first) + ["training"] * (len(names) - second)
    return dict(zip(names, sections, strict=True))


def fold_by_group(groups: Iterable[str], fold: int, folds: int, seed: int = 0) -> dict[str, str]:
    """Assign every group to training or validation, for one fold of a cross-validation.

    The groups are in the order of `split_by_group` and are cut into parts of equal size, or of sizes that differ by
    one; the given part is validation. Invariants: every group is validation in one fold; the first fold is the split
    of `split_by_group` with the share 1 / folds, if the groups can be divided by the number of folds.

    Args:
        groups: names of patients, slides or images in any order; names may be repeated.
        fold: number of the fold, from 0.
        folds: number of folds, at least 2.
        seed: seed of the order.

    Returns:
        section of every group: `training` or `validation`.

    Raises:
        InputError: there is no such fold, or there are fewer groups than folds.

    >>> sorted(fold_by_group("abcd", fold=1, folds=2).values())
    ['training', 'training', 'validation', 'validation']
    """
    names = _shuffled(groups, seed)
    if not 0 <= fold < folds or folds < 2:
        raise InputError(f"fold is {fold} of {folds}; give 0 to N - 1 of N, at least 2, such as [0,5]")
    if len(names) < folds:
        raise InputError(f"{len(names)} group(s) cannot be cut into {folds} folds; give fewer folds")
    start, end = (round(number * len(names) / folds) for number in (fold, fold + 1))
    return {name: "validation" if start <= position < end else "training" for position, name in enumerate(names)}


def with_fold(dataset: PreparedDataset, fold: Sequence[int] | None) -> PreparedDataset:
    """Return a data set with training and validation of one fold of a cross-validation.

    Invariants: every group is validation in one fold; a group of several joined data sets is in the same section of all
    of them. The test images stay, and so does a data set that has only training or only validation.
    Limits: such a data set must not have groups of the others.

    Args:
        dataset: single data set, or several joined ones.
        fold: number of the fold, from 0, and number of folds, see `fold_by_group`; None keeps the split of the file.

    Raises:
        InputError: there is no such fold, or there are fewer groups than folds.
    """
    if fold is None:
        return dataset
    number, folds = _checked(fold)
    parts = dataset.parts or (dataset,)
    groups = [_group(item) for part in parts for item in _items(part)]
    if not groups:
        return dataset
    sections = fold_by_group(groups, number, folds)
    split = [_split(part, (number, folds), sections) if _items(part) else part for part in parts]
    return join_datasets(split) if dataset.parts else split[0]


def tcga_patient(name: str) -> str:
    """Return the patient in a TCGA file name, which is its first three fields; other names are unchanged.

    >>> tcga_patient("TCGA-AR-A1AK-01Z-00-DX1")
    'TCGA-AR-A1AK'
    """
    fields = name.split("-")
    return "-".join(fields[:3]) if fields[0] == "TCGA" and len(fields) > 3 else name


def group_of(name: str, pattern: str | None = None) -> str:
    """Return the group in the name of an image.

    Args:
        name: name of the image without suffix.
        pattern: regular expression whose first bracket, or whose whole match without a bracket, is the group. None uses
            `tcga_patient`.

    Raises:
        InputError: the expression does not match.
    """
    if pattern is None:
        return tcga_patient(name)
    match = re.search(pattern, name)
    if match is None:
        raise InputError(f"{name}: the expression '{pattern}' finds no group in this name; correct --group")
    return match.group(1) if match.re.groups else match.group(0)


def _shuffled(groups: Iterable[str], seed: int) -> list[str]:
    """Return the names in an order that depends only on the seed and on each name."""
    return sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())


def _split(part: PreparedDataset, fold: tuple[int, int], sections: Mapping[str, str]) -> PreparedDataset:
    """Return a data set whose training and validation are those of the fold."""
    chosen: dict[str, Any] = {
        name: [item for item in _items(part) if sections[_group(item)] == name] for name in ("training", "validation")
    }
    return replace(part, fold=fold, split={**part.split, "fold": list(fold)}, **chosen)


def _items(part: PreparedDataset) -> list[dict[str, str]]:
    """Return the items that a fold splits; none without training or without validation."""
    return [*part.training, *part.validation] if part.training and part.validation else []


def _group(item: Mapping[str, str]) -> str:
    return item.get("group", item["image"])


def _checked(fold: Any) -> tuple[int, int]:
    """Return the two numbers of a fold, or raise an error for anything else."""
    numbers = list(fold) if isinstance(fold, list | tuple) else []
    if len(numbers) != 2 or not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise InputError(f"fold is {fold!r}; give its number from 0 and the number of folds, such as [0,5]")
    return numbers[0], numbers[1]
