"""Command-line options that all `prepare` commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from monai_seunet.data.prepare import Split
from monai_seunet.data.split import split_by_group


def add_common_options(parser: argparse.ArgumentParser, validation: float = 0.2) -> None:
    """Add the destination and the options of the split."""
    parser.add_argument(
        "destination", metavar="DST", type=Path, help="folder to make: images/, labels/ and dataset.json"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the data set that was prepared there before")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another split (default: %(default)s)")
    parser.add_argument(
        "--validation", type=float, default=validation, help="share of the groups for validation (default: %(default)s)"
    )
    parser.add_argument("--test", type=float, default=0.0, help="share of the groups for test (default: %(default)s)")


def split_of(options: argparse.Namespace, by: str) -> Split:
    """The split that the options ask for; `by` says what a group is, for the record."""

    def split(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections = split_by_group(groups, options.validation, options.test, options.seed)
        how = {"by": by, "seed": options.seed, "validation": options.validation, "test": options.test}
        return sections, how

    return split
