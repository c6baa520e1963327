"""Comparison of the evaluations of several networks, as tables and figures from their report files."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai_seunet.drawing.panels import ScalePanels, draw_method_panels
from monai_seunet.drawing.table import Table
from monai_seunet.report.files import read_values, save_figure, write_tables
from monai_seunet.report.rotations.figures import draw_absolute, draw_signed, method_groups
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.rotations.tables import rotation_method_table
from monai_seunet.report.scales.curves import draw_methods
from monai_seunet.report.scales.equivariance import draw_error_curves
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import method_scale_table, method_table
from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compare_results(files: Sequence[str | Path], out: str | Path, fusion: str | None = None) -> Table:
    """Compare evaluations of the same data, all over scales or all of turned images.

    Reports of the same method are repetitions: their scores are averaged and their spread is drawn.

    Args:
        files: `report.json` of evaluations, or their folders.
        out: folder of the result: tables as Markdown and CSV, figures as PNG and SVG.
        fusion: fusion of all networks in evaluations over scales; None: the configured fusion of each network.

    Returns:
        The table of methods.

    Raises:
        InputError: there is no file, a file is no report, or reports differ in kind, data, classes or scales.
    """
    paths = [Path(file) / "report.json" if Path(file).is_dir() else Path(file) for file in files]
    reports = read_comparable(paths, fusion)
    tables = comparison_tables(reports)
    write_tables(tables, Path(out))
    write_figures(paths, reports, Path(out))
    return next(iter(tables.values()))


def read_comparable(paths: Sequence[Path], fusion: str | None = None) -> list[Any]:
    """Read scale reports or rotation reports that can be compared; for arguments and errors see `compare_results`."""
    reports = read_reports(paths)
    check_comparable(paths, reports)
    return reports if fusion is None else with_fusion(paths, reports, fusion)


def read_reports(paths: Sequence[Path]) -> list[Any]:
    """Read scale reports or rotation reports.

    Raises:
        InputError: there is no file, a file is no report, or the reports are of different kinds.
    """
    if not paths:
        raise InputError("no evaluation to compare; give report.json files, or folders that hold one")
    formats = [read_values(path).get("format", "") for path in paths]
    for path, form in zip(paths, formats, strict=True):
        if form != formats[0]:
            raise InputError(
                f"{path}: {form or 'not a report'!r} where {paths[0]} is {formats[0] or 'not a report'!r}; compare "
                "evaluations of one kind"
            )
    kind = RotationReport if formats[0] == RotationReport.format() else ScaleReport
    return [kind.load(path) for path in paths]


def check_comparable(paths: Sequence[Path], reports: Sequence[Any], ignored: Collection[str] = ()) -> None:
    """Raise an InputError for the first report that differs from the first one in data, classes or scales.

    Args:
        paths: files of the reports, for the message.
        reports: scale reports or rotation reports, of one kind.
        ignored: names of `conditions` in which they may differ.
    """
    first = reports[0].conditions()
    for path, report in zip(paths, reports, strict=True):
        for name, (value, remedy) in report.conditions().items():
            if name in ignored:
                continue
            other = first.get(name, (value,))[0]
            if value != other:
                ours, theirs = reprlib.repr(value), reprlib.repr(other)
                raise InputError(f"{path}: {name} is {ours} where {paths[0]} has {theirs}; {remedy}")


def comparison_tables(reports: Sequence[Any]) -> dict[str, Table]:
    """Return the tables of reports by file name; the first table has a row for each method.

    Reports of turned images have `rotations`. Reports over scales have `methods` (mean scores, E_Err, parameters) and
    `methods_by_scale`. They come from `read_comparable`.
    """
    if isinstance(reports[0], RotationReport):
        return {"rotations": rotation_method_table(reports)}
    return {"methods": method_table(reports), "methods_by_scale": method_scale_table(reports)}


def write_figures(paths: Sequence[Path], reports: Sequence[Any], out: Path) -> None:
    """Draw figures as PNG and SVG.

    Of turned images: `rotations_signed` (Figure 15 of the thesis) and `rotations` (Figure 17). Over scales: `methods`
    (curves), `methods_equivariance` if it was measured, and `methods_panels` if every evaluation kept pictures of the
    same field by the same fusion.

    Args:
        paths: files of the reports.
        reports: result of `read_comparable` for them.
        out: folder of the figures.
    """
    turned = isinstance(reports[0], RotationReport)
    for name, figure in _rotation_figures(reports) if turned else _scale_figures(paths, reports):
        save_figure(figure, out / f"{name}.png", svg=True)


def with_fusion(paths: Sequence[Path], reports: Sequence[Any], fusion: str) -> list[Any]:
    """Return evaluations over scales with one fusion for all networks.

    Raises:
        InputError: a report has turned images, or lacks the fusion.
    """
    for path, report in zip(paths, reports, strict=True):
        if isinstance(report, RotationReport):
            raise InputError(f"{path}: a fusion can be chosen for evaluations over scales alone; leave out '{fusion}'")
        if len(report.scores.heads) > 1 and fusion not in report.scores.strategies:
            choices = f"choose one of {', '.join(report.scores.strategies)}"
            raise InputError(f"{path}: fusion '{fusion}' was not evaluated; evaluate it again, or {choices}")
    return [replace(report, strategy=fusion) for report in reports]


def _rotation_figures(reports: Sequence[RotationReport]) -> Iterator[tuple[str, Figure]]:
    groups, note = method_groups(reports), reports[0].note
    yield "rotations_signed", draw_signed(groups, "F1 of the image minus F1 of the turned image", note)
    yield "rotations", draw_absolute(groups, "F1, and how much it changes under quarter turns", note)


def _scale_figures(paths: Sequence[Path], reports: Sequence[ScaleReport]) -> Iterator[tuple[str, Figure]]:
    yield "methods", draw_methods(reports)
    if any(report.equivariance for report in reports):
        yield "methods_equivariance", draw_error_curves(reports)
    panels = _shared_panels(paths, reports)
    if panels and all(ScaleReport.load(path).final == r.final for path, r in zip(paths, reports, strict=True)):
        title = f"One field across scales, with the whole image's {reports[0].score_name} (%)"
        yield "methods_panels", draw_method_panels(panels, title)


def _shared_panels(paths: Sequence[Path], reports: Sequence[ScaleReport]) -> list[tuple[str, ScalePanels]]:
    """Return the panels of the first report of each method; empty if they are missing or show different fields."""
    chosen: dict[str, ScalePanels] = {}
    for path, report in zip(paths, reports, strict=True):
        file = path.with_name("panels.npz")
        if report.method not in chosen and file.is_file():
            chosen[report.method] = ScalePanels.load(file)
    panels = list(chosen.items())
    complete = len(panels) == len({report.method for report in reports})
    return panels if complete and all(panels[0][1].same_field(other) for _, other in panels) else []
