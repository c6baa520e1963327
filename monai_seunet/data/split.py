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
    names = sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
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
