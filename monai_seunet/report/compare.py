"""Compare the evaluations of several networks: tables and figures from their report files alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from monai_seunet.drawing.panels import ScalePanels, draw_method_panels
from monai_seunet.drawing.table import Table
from monai_seunet.report.files import report_format, save_figure
from monai_seunet.report.rotations.compare import compare_rotations
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.scales.curves import draw_methods, same_scales
from monai_seunet.report.scales.equivariance import draw_error_curves
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.report.scales.tables import method_scale_table, method_table
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text


def compare_results(
    files: Sequence[str | Path],
    out: str | Path,
    extend: Callable[[Table], Table] = lambda table: table,
    fusion: str | None = None,
) -> Table:
    """Compare evaluations of the same data, all over scales or all of turned images (see `compare_rotations`).

    Of evaluations at the same scales, written are `methods.md` and `methods.csv` (mean scores, E_Err, parameters),
    `methods_by_scale.md` and `.csv`, `methods.png` (curves over the scale), `methods_equivariance.png` where it was
    measured, and `methods_panels.png` where every evaluation kept pictures of the same field, by the same fusion.
    Reports of the same
    method count as repetitions: their scores are averaged and their spread is drawn.

    Args:
        files: `report.json` of evaluations, or their folders.
        out: folder of the result; figures are PNG and SVG.
        extend: adds columns to the table of methods before it is written.
        fusion: that stands for all networks in evaluations over scales; None: the one that each is configured with.

    Returns:
        The table of methods.

    Raises:
        InputError: where there is no file, one is no report, or they are of other kinds, data, classes or scales.
    """
    if not files:
        raise InputError("no evaluation to compare; give report.json files, or folders that hold one")
    paths = [Path(file) / "report.json" if Path(file).is_dir() else Path(file) for file in files]
    out = Path(out)
    formats = [report_format(path) for path in paths]
    for path, form in zip(paths[1:], formats[1:], strict=True):
        if form != formats[0]:
            raise InputError(
                f"{path}: {form or 'not a report'!r} where {paths[0]} is {formats[0] or 'not a report'!r}; compare "
                "evaluations of one kind"
            )
    if formats[0] != RotationReport.format():
        return _compare_scales(paths, out, extend, fusion)
    if fusion is not None:
        raise InputError(f"{paths[0]}: a fusion can be chosen for evaluations over scales alone; leave out '{fusion}'")
    return compare_rotations(paths, out, extend)


def by_fusion(paths: Sequence[Path], reports: Sequence[ScaleReport], fusion: str | None) -> list[ScaleReport]:
    """Evaluations over scales with one fusion that stands for all networks; None: for each its own.

    Raises:
        InputError: where a network has several heads, and their fusion was not evaluated so.
    """
    if fusion is None:
        return list(reports)
    for path, report in zip(paths, reports, strict=True):
        if len(report.scores.heads) > 1 and fusion not in report.scores.strategies:
            known = ", ".join(report.scores.strategies)
            raise InputError(
                f"{path}: fusion '{fusion}' was not evaluated; evaluate it again, or choose one of {known}"
            )
    return [replace(report, strategy=fusion) for report in reports]


def _compare_scales(paths: Sequence[Path], out: Path, extend: Callable[[Table], Table], fusion: str | None) -> Table:
    """Tables and figures of evaluations over scales."""
    own = [ScaleReport.load(path) for path in paths]
    reports = by_fusion(paths, own, fusion)
    _check_comparable(paths, reports)
    table, by_scale = extend(method_table(reports)), method_scale_table(reports)
    write_text(out / "methods.md", table.to_markdown())
    write_text(out / "methods.csv", table.to_csv())
    write_text(out / "methods_by_scale.md", by_scale.to_markdown())
    write_text(out / "methods_by_scale.csv", by_scale.to_csv())
    save_figure(draw_methods(reports), out / "methods.png", svg=True)
    if any(report.equivariance for report in reports):
        save_figure(draw_error_curves(reports), out / "methods_equivariance.png", svg=True)
    panels = _shared_panels(paths, reports)
    pictured = [report.final for report in own]
    if panels and pictured == [report.final for report in reports]:
        title = f"One field across scales, with the whole image's {reports[0].score_name} (%)"
        save_figure(draw_method_panels(panels, title), out / "methods_panels.png", svg=True)
    return table


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
    """The pictures of the first report of each method; none where they are missing or show another field."""
    chosen: dict[str, ScalePanels] = {}
    for path, report in zip(paths, reports, strict=True):
        file = path.with_name("panels.npz")
        if report.method not in chosen and file.is_file():
            chosen[report.method] = ScalePanels.load(file)
    panels = list(chosen.items())
    complete = len(panels) == len({report.method for report in reports})
    return panels if complete and all(panels[0][1].same_field(other) for _, other in panels) else []
