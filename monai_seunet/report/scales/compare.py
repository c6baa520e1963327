"""Compare the evaluations over scales of several networks, from their report files alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from monai_seunet.drawing.panels import ScalePanels, draw_method_panels
from monai_seunet.drawing.table import Table
from monai_seunet.report.scales.curves import draw_methods, same_scales
from monai_seunet.report.scales.equivariance import draw_error_curves
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import method_scale_table, method_table
from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_comparable(paths: Sequence[Path], fusion: str | None = None) -> list[ScaleReport]:
    """Read scale reports of the same images at the same scales.

    Args:
        paths: files of the reports.
        fusion: fusion of all networks; None: the configured fusion of each network.

    Raises:
        InputError: if a file is no scale report, the reports differ in data, classes or scales, or the fusion was not
            evaluated.
    """
    reports = [ScaleReport.load(path) for path in paths]
    if fusion is not None:
        for path, report in zip(paths, reports, strict=True):
            if len(report.scores.heads) > 1 and fusion not in report.scores.strategies:
                choices = ", ".join(report.scores.strategies)
                raise InputError(
                    f"{path}: fusion '{fusion}' was not evaluated; evaluate it again, or choose one of {choices}"
                )
        reports = [replace(report, strategy=fusion) for report in reports]
    _check_comparable(paths, reports)
    return reports


def comparison_tables(reports: Sequence[ScaleReport]) -> dict[str, Table]:
    """`methods` (mean scores, E_Err, parameters) and `methods_by_scale`."""
    return {"methods": method_table(reports), "methods_by_scale": method_scale_table(reports)}


def comparison_figures(paths: Sequence[Path], reports: Sequence[ScaleReport]) -> Iterator[tuple[str, Figure]]:
    """Figures by file name.

    `methods` has the curves over the scale, `methods_equivariance` the errors under zoom if they were measured, and
    `methods_panels` the predictions if every evaluation kept pictures of the same field by the same fusion.

    Args:
        paths: files of the reports.
        reports: what `read_comparable` gave for them.
    """
    yield "methods", draw_methods(reports)
    if any(report.equivariance for report in reports):
        yield "methods_equivariance", draw_error_curves(reports)
    panels = _shared_panels(paths, reports)
    if panels and all(ScaleReport.load(path).final == r.final for path, r in zip(paths, reports, strict=True)):
        title = f"One field across scales, with the whole image's {reports[0].score_name} (%)"
        yield "methods_panels", draw_method_panels(panels, title)


def _check_comparable(paths: Sequence[Path], reports: Sequence[ScaleReport]) -> None:
    first = reports[0]
    for path, report in zip(paths[1:], reports[1:], strict=True):
        for name in ("data", "section", "region", "classes"):
            ours, theirs = getattr(first, name), getattr(report, name)
            if ours != theirs:
                raise InputError(f"{path}: {name} is {theirs!r} where {paths[0]} has {ours!r}; compare the same images")
        if report.scores.images != first.scores.images:
            raise InputError(
                f"{path}: {report.scores.images} images where {paths[0]} has {first.scores.images}; "
                "evaluate both with the same max_images, and by this version: earlier ones did not count images "
                "without objects"
            )
        errors, others = report.equivariance, first.equivariance
        if errors and others and errors.images != others.images:
            raise InputError(
                f"{path}: E_Err of {errors.images} images where {paths[0]} has it of {others.images}; "
                "evaluate both with the same equivariance_images"
            )
        if not same_scales(report.scores.scales, first.scores.scales):
            raise InputError(
                f"{path}: other test scales than {paths[0]}; evaluate both with the same minimum_scale, "
                "maximum_scale and steps_per_octave"
            )


def _shared_panels(paths: Sequence[Path], reports: Sequence[ScaleReport]) -> list[tuple[str, ScalePanels]]:
    """The pictures of the first report of each method; empty if they are missing or show different fields."""
    chosen: dict[str, ScalePanels] = {}
    for path, report in zip(paths, reports, strict=True):
        file = path.with_name("panels.npz")
        if report.method not in chosen and file.is_file():
            chosen[report.method] = ScalePanels.load(file)
    panels = list(chosen.items())
    complete = len(panels) == len({report.method for report in reports})
    return panels if complete and all(panels[0][1].same_field(other) for _, other in panels) else []
