"""Command-line options that all `prepare` commands share."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from monai_seunet.data.pairs import Layout
from monai_seunet.data.prepare import PrepareResult, Split
from monai_seunet.data.split import check_shares, split_by_group
from monai_seunet.utils.errors import InputError

USUAL_VALIDATION = 0.2


def add_destination(parser: argparse.ArgumentParser) -> None:
    """Add the destination folder."""
    parser.add_argument(
        "destination", metavar="DST", type=Path, help="folder to create: images/, labels/ and dataset.json"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a data set that was prepared there before")


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add the subfolders of images and masks, and the endings of their names."""
    layout = Layout()
    for name, text in (
        ("images", "subfolder of the images, '.' for SRC itself (default: %(default)s)"),
        ("masks", "subfolder of the masks or outlines (default: %(default)s)"),
        ("image-ending", "end of image names before the suffix, such as _img in a_img.png"),
        ("mask-ending", "end of mask names before the suffix, such as _mask in a_mask.png"),
    ):
        parser.add_argument(f"--{name}", metavar="NAME", default=getattr(layout, name.replace("-", "_")), help=text)


def layout_of(options: argparse.Namespace) -> Layout:
    """Return the layout of the options of `add_layout`."""
    return Layout(options.images, options.masks, options.image_ending, options.mask_ending)


def add_group(parser: argparse.ArgumentParser) -> None:
    """Add the regular expression that finds the patient in a file name."""
    parser.add_argument(
        "--group",
        metavar="REGEX",
        help="regular expression that finds the patient in a file name, by its first bracket",
    )


def group_pattern(options: argparse.Namespace) -> str | None:
    """Return the regular expression of `add_group`, or raise an InputError if it is invalid."""
    try:
        re.compile(options.group or "")
    except re.error as error:
        raise InputError(f"--group is '{options.group}', which is no regular expression ({error})") from error
    return options.group


def add_split(parser: argparse.ArgumentParser, by: str) -> None:
    """Add the options of a split by group; `by` is the singular noun for a group."""
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: %(default)s)")
    parser.add_argument(
        "--validation",
        metavar="SHARE",
        type=float,
        help=f"share of the {by}s for validation, 1 for all (default: {USUAL_VALIDATION}, 0 with --test 1)",
    )
    parser.add_argument(
        "--test",
        metavar="SHARE",
        type=float,
        default=0.0,
        help=f"share of the {by}s for test, 1 for a data set that is only evaluated (default: %(default)s)",
    )


def split_of(options: argparse.Namespace, by: str) -> Split:
    """Return the split of the options of `add_split`; `dataset.json` records `by`, the noun for a group."""
    validation, test = options.validation, options.test
    if validation is None:
        validation = 0.0 if test == 1 else USUAL_VALIDATION
    check_shares(validation, test)  # before an image is read

    def split(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
        sections = split_by_group(groups, validation, test, options.seed)
        return sections, {"by": by, "seed": options.seed, "validation": validation, "test": test}

    return split


def show(outcome: PrepareResult) -> int:
    """Print the result of a preparation, and return the exit code of the command."""
    for note in outcome.notes:
        print(f"note: {note}", file=sys.stderr)
    for problem in outcome.problems:
        print(f"warning: {problem}", file=sys.stderr)
    counts = ", ".join(f"{count} {section}" for section, count in outcome.counts.items())
    note = f"; {len(outcome.problems)} warning(s)" if outcome.problems else ""
    print(f"{outcome.destination}: {counts}{note}")
    return outcome.exit_code
