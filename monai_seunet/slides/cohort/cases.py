"""Which slides are asked for, and what the results of each are called."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from monai_seunet.data.images import without_outputs
from monai_seunet.reading.names import find_slides, image_stem
from monai_seunet.reading.pixel_size import number
from monai_seunet.utils.errors import InputError


class Case(NamedTuple):
    """One slide of a cohort: its file, the folder of its results, and µm per base pixel where a table says so."""

    path: Path
    name: str
    mpp: float | None = None


def find_cases(inputs: Sequence[str | Path]) -> list[Case]:
    """List the slides that files, folders and tables name.

    The results of a slide are called as its file, without the ending; files of the same name get that of their folder
    before it, and those of one folder their ending.

    Args:
        inputs: slides or images, folders of them (not their subfolders), or CSV tables with a column `slide` (paths
            beside the table, or whole ones) and perhaps `mpp` and `name`.

    Raises:
        InputError: where one names nothing, a table cannot be read, or two slides would write to one folder.
    """
    found = list(dict.fromkeys(case for one in inputs for case in _expand(Path(one).expanduser().absolute())))
    if not found:
        raise InputError("no slide was named; give slides, folders or CSV tables")
    named = _renamed(found, image_stem, _with_folder)
    named = _renamed(named, _with_folder, lambda path: f"{_with_folder(path)}{''.join(path.suffixes)}")
    again = [name for name, count in Counter(case.name for case in named).items() if count > 1]
    if again:
        files = " and ".join(str(case.path) for case in named if case.name == again[0])
        raise InputError(f"{files} would write to one folder, {again[0]}; give them names in a table")
    return named


def _renamed(cases: Sequence[Case], old: Callable[[Path], str], new: Callable[[Path], str]) -> list[Case]:
    """The same, those of one name with other ones; names that a table gives stay."""
    taken = Counter(case.name for case in cases)
    again = [taken[case.name] > 1 and case.name == old(case.path) for case in cases]
    return [case._replace(name=new(case.path)) if one else case for case, one in zip(cases, again, strict=True)]


def _with_folder(path: Path) -> str:
    return f"{path.parent.name}_{image_stem(path)}"


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
            raise InputError(f"{path}, line {line}: no slide is named")
        slide = path.parent / Path(row["slide"]).expanduser()
        name = row.get("name") or image_stem(slide)
        if name != Path(name).name or name.startswith("."):  # it becomes a folder in the output
            raise InputError(f"{path}, line {line}: name is '{name}'; give one without folders and a dot before it")
        yield Case(slide, name, _number(row.get("mpp"), f"{path}, line {line}"))


def _number(text: str | None, where: str) -> float | None:
    if not text:
        return None
    mpp = number(text)
    if mpp is None or mpp <= 0:
        raise InputError(f"{where}: mpp is '{text}'; give a number of µm per pixel, or nothing")
    return mpp
