"""Choose training, validation and test by group, so that no patient is on both sides."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from monai_seunet.utils.errors import InputError


def check_shares(validation: float, test: float) -> None:
    """Refuse shares that cannot be.

    Raises:
        ValueError: where one is outside 0 ... 1, or both together are above 1.
    """
    if not (validation >= 0 and test >= 0 and validation + test <= 1):
        raise ValueError(f"shares are validation {validation} and test {test}; give 0 to 1 each, together at most 1")


def split_by_group(groups: Iterable[str], validation: float, test: float = 0.0, seed: int = 0) -> dict[str, str]:
    """Assign every group to a section.

    The groups are ranked by a hash of seed and name; the first share is test, the next validation.
    Invariant: depends on nothing but the set of names, the shares and the seed, on every machine; a group that joins
    moves few others.

    Args:
        groups: names, in any order and number; a patient, a slide or an image each.
        validation: share of the groups, 0 ... 1; a share above 0 gets at least one group, and 1 gets all.
        test: likewise.
        seed: another seed gives another choice.

    Returns:
        `training`, `validation` or `test` for every group.

    Raises:
        ValueError: for shares that are together above 1, or below 1 and leave nothing to train on.
    """
    names = sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
    check_shares(validation, test)
    counts = [max(1, round(share * len(names))) if share > 0 else 0 for share in (test, validation)]
    least = int(validation + test < 1)  # shares of 1 in total leave nothing to train on, as asked
    if sum(counts) + least > len(names):
        raise ValueError(
            f"{len(names)} group(s) cannot give {counts[1]} to validation, {counts[0]} to test and at least {least} to "
            "training; lower the shares to 0, give 1 to one of them, or add images of other patients or groups"
        )
    first, second = counts[0], sum(counts)
    sections = ["test"] * first + ["validation"] * (second - first) + ["training"] * (len(names) - second)
    return dict(zip(names, sections, strict=True))


def tcga_patient(name: str) -> str:
    """The patient of a TCGA file name: its first three fields, as in TCGA-AR-A1AK; other names stay whole."""
    fields = name.split("-")
    return "-".join(fields[:3]) if fields[0] == "TCGA" and len(fields) > 3 else name


def group_of(name: str, pattern: str | None = None) -> str:
    """The group of an image by its name, which never is on two sides of the split.

    Args:
        name: of the image, without suffix.
        pattern: regular expression that finds the group: its first bracket or, without one, all that it matches. None
            takes TCGA's patient, else the whole name.

    Raises:
        InputError: where the expression does not find one.
    """
    if pattern is None:
        return tcga_patient(name)
    match = re.search(pattern, name)
    if match is None:
        raise InputError(f"{name}: the expression '{pattern}' finds no group in this name; correct --group")
    return match.group(1) if match.re.groups else match.group(0)
