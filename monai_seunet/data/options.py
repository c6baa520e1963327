"""Command-line options that all `prepare` commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from monai_seunet.data.prepare import Split
from monai_seunet.data.split import split_by_group


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Add the folder to make."""
    parser.add_argument(
        "destination", metavar="DST", type=Path, help="folder to make: images/, labels/ and dataset.json"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the data set that was prepared there before")


def add_split(parser: argparse.ArgumentParser, by: str) -> None:
    """Add the options of a split by group; `by` says what a group is."""
    parser.add_argument("--seed", type=int, default=0, help="another seed, another split (default: %(default)s)")
    for name, share in (("validation", 0.2), ("test", 0.0)):
        text = f"share of the {by}s for {name} (default: %(default)s)"
        parser.add_argument(f"--{name}", metavar="SHARE", type=float, default=share, help=text)


def split_of(options: argparse.Namespace, by: str) -> Split:
    """The split that the options of `add_split` ask for; `by` says what a group is, for the record."""

    def split(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections = split_by_group(groups, options.validation, options.test, options.seed)
        how = {"by": by, "seed": options.seed, "validation": options.validation, "test": options.test}
        return sections, how

    return split
