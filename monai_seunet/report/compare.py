"""Compare the evaluations of several networks: tables and figures from their report files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_seunet.drawing.table import Table
from monai_seunet.report.files import report_format, save_figure
from monai_seunet.report.rotations import compare as rotations
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.scales import compare as scales
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

_KINDS: dict[str, Any] = {ScaleReport.format(): scales, RotationReport.format(): rotations}


def compare_results(files: Sequence[str | Path], out: str | Path, fusion: str | None = None) -> Table:
    """Compare evaluations of the same data, all over scales or all of turned images.

    Tables and figures are those of `report.scales.compare` or of `report.rotations.compare`. Reports of the same
    method are repetitions: their scores are averaged and their spread is drawn.

    Args:
        files: `report.json` of evaluations, or their folders.
        out: folder of the result: tables as Markdown and CSV, figures as PNG and SVG.
        fusion: fusion of all networks in evaluations over scales; None: the configured fusion of each network.

    Returns:
        The table of methods.

    Raises:
        InputError: if there is no file, one is no report, or they differ in kind, data, classes or scales.
    """
    paths = [Path(file) / "report.json" if Path(file).is_dir() else Path(file) for file in files]
    reports = read_comparable(paths, fusion)
    tables = comparison_tables(reports)
    write_comparison(paths, reports, tables, Path(out))
    return next(iter(tables.values()))


def read_comparable(paths: Sequence[Path], fusion: str | None = None) -> list[Any]:
    """Read evaluations of one kind, and check that they can be compared.

    Args:
        paths: `report.json` of evaluations.
        fusion: fusion of all networks in evaluations over scales; None: the configured fusion of each network.

    Returns:
        Scale reports or rotation reports.

    Raises:
        InputError: see `compare_results`.
    """
    if not paths:
        raise InputError("no evaluation to compare; give report.json files, or folders that hold one")
    formats = [report_format(path) for path in paths]
    for path, form in zip(paths, formats, strict=True):
        if form != formats[0]:
            raise InputError(
                f"{path}: {form or 'not a report'!r} where {paths[0]} is {formats[0] or 'not a report'!r}; compare "
                "evaluations of one kind"
            )
    if formats[0] != RotationReport.format():
        return scales.read_comparable(paths, fusion)
    if fusion is not None:
        raise InputError(f"{paths[0]}: a fusion can be chosen for evaluations over scales alone; leave out '{fusion}'")
    return rotations.read_comparable(paths)


def comparison_tables(reports: Sequence[Any]) -> dict[str, Table]:
    """Tables of what `read_comparable` gave, by file name; the first one has a row for each method."""
    tables: dict[str, Table] = _KINDS[reports[0].format()].comparison_tables(reports)
    return tables


def write_comparison(paths: Sequence[Path], reports: Sequence[Any], tables: Mapping[str, Table], out: Path) -> None:
    """Write tables as Markdown and CSV, and the figures of the reports as PNG and SVG.

    Args:
        paths: files of the reports.
        reports: what `read_comparable` gave for them.
        tables: tables by file name.
        out: folder of the result.
    """
    write_tables(tables, out)
    for name, figure in _KINDS[reports[0].format()].comparison_figures(paths, reports):
        save_figure(figure, out / f"{name}.png", svg=True)


def write_tables(tables: Mapping[str, Table], out: Path) -> None:
    """Write tables into a folder as Markdown and CSV, by file name."""
    for name, table in tables.items():
        write_text(out / f"{name}.md", table.to_markdown())
        write_text(out / f"{name}.csv", table.to_csv())
