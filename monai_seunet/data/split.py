"""Split into training, validation and test by group, so no patient is in two sections."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

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
