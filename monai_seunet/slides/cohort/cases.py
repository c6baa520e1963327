"""Slides of a cohort, and names for the folders of their results."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from monai_seunet.data.images import without_outputs
from monai_seunet.reading.names import find_slides, image_stem
from monai_seunet.reading.opening import decoder_of
from monai_seunet.reading.pixel_size import number
from monai_seunet.utils.errors import InputError


class Case(NamedTuple):
    """One slide of a cohort: its file, the name of its folder of results, and µm per base pixel from a table."""

    path: Path
    name: str
    mpp: float | None = None


def find_cases(inputs: Sequence[str | Path]) -> list[Case]:
    """List the slides of files, folders and tables.

    The name of a slide is its file name without the ending. Slides of the same name keep their ending, as in `a_png`,
    if it tells them apart. Otherwise they get the name of their folder as a prefix, and perhaps their ending too.

    Args:
        inputs: slides or images, folders without their subfolders, or CSV tables. A table has the column `slide` with
            paths, absolute or relative to the table, and optionally `mpp` and `name`.

    Raises:
        InputError: an input has no slides, a table cannot be read, or two slides would write to one folder.
    """
    paths = [Path(os.path.abspath(Path(path).expanduser())) for path in inputs]  # also without ..
    cases = list(dict.fromkeys(case for path in paths for case in _expand(path)))
    if not cases:
        raise InputError("no image was named; give images, folders or CSV tables")
    taken = Counter(_with_ending(case.path) for case in cases)
    named = _renamed(
        cases, image_stem, lambda path: (_with_ending if taken[_with_ending(path)] == 1 else _with_folder)(path)
    )
    named = _renamed(named, _with_folder, lambda path: f"{path.parent.name}_{_with_ending(path)}")
    again = [name for name, count in Counter(case.name for case in named).items() if count > 1]
    if again:
        files = " and ".join(str(case.path) for case in named if case.name == again[0])
        raise InputError(f"{files} would write to one folder, {again[0]}; give them names in a table")
    return named


def require_readable(cases: Sequence[Case]) -> None:
    """Check by the first bytes of the files that at least one of them is an image; a damaged one may come later.

    Raises:
        InputError: none of the files is an image of a supported format.
    """
    first: InputError | None = None
    for case in cases:
        try:
            decoder_of(case.path)
            return
        except InputError as error:
            first = first or error
    if first is not None:
        raise first if len(cases) == 1 else InputError(f"none of {len(cases)} files can be read; the first: {first}")


def _renamed(cases: Sequence[Case], old: Callable[[Path], str], new: Callable[[Path], str]) -> list[Case]:
    """Rename the cases that share a name; names from a table stay."""
    taken = Counter(case.name for case in cases)
    again = [taken[case.name] > 1 and case.name == old(case.path) for case in cases]
    return [case._replace(name=new(case.path)) if renamed else case for case, renamed in zip(cases, again, strict=True)]


def _with_folder(path: Path) -> str:
    return f"{path.parent.name}_{image_stem(path)}"


def _with_ending(path: Path) -> str:
    """Return `a_png` for `a.png`, no name of the file, because the results may be written beside it."""
    stem = image_stem(path)
    return stem + path.name[len(stem) :].replace(".", "_")


def _expand(path: Path) -> Iterable[Case]:
    if path.is_dir():
        return [Case(slide, image_stem(slide)) for slide in without_outputs(find_slides(path))]
    if path.suffix.lower() == ".csv":
        return list(_read_table(path))
    return [Case(path, image_stem(path))]


def _read_table(path: Path) -> Iterator[Case]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            rows = [{(key or "").strip().lower(): value for key, value in row.items()} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error})") from error
    if not rows or "slide" not in rows[0]:
        raise InputError(f"{path}: needs a header with the column slide, and a row for each; perhaps mpp and name")
    for line, row in enumerate(rows, start=2):
        if not row["slide"]:
            raise InputError(f"{path}, line {line}: no image is named")
        slide = path.parent / Path(row["slide"]).expanduser()
        name = row.get("name") or image_stem(slide)
        if name != Path(name).name or name.startswith("."):  # the name becomes a folder in the output
            raise InputError(f"{path}, line {line}: name is '{name}'; give a name without folders and leading dots")
        text = row.get("mpp")
        mpp = number(text) if text else None
        if text and (mpp is None or mpp <= 0):
            raise InputError(f"{path}, line {line}: mpp is '{text}'; give a number of µm per pixel, or nothing")
        yield Case(slide, name, mpp)
