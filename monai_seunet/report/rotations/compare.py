"""Compare the evaluations of turned images of several networks, from their report files alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from monai_seunet.drawing.table import Table
from monai_seunet.report.files import save_figure
from monai_seunet.report.rotations.figures import draw_absolute, draw_signed, method_groups
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.rotations.tables import rotation_method_table
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text


def compare_rotations(paths: Sequence[Path], out: Path, extend: Callable[[Table], Table]) -> Table:
    """Compare rotation reports of the same pixels by the same rule.

    Written are `rotations.md` and `.csv`, `rotations_signed.png` (the thesis's Figure 15) and `rotations.png` (Figure
    17). Reports of the same method count as repetitions.

    Args:
        paths: of the reports.
        out: folder of the result.
        extend: adds columns to the table before it is written.

    Raises:
        InputError: where a report is none, or they are of other images, classes, pixels or rules.
    """
    reports = [RotationReport.load(path) for path in paths]
    _check_comparable(paths, reports)
    table, groups = extend(rotation_method_table(reports)), method_groups(reports)
    write_text(out / "rotations.md", table.to_markdown())
    write_text(out / "rotations.csv", table.to_csv())
    note = rotation_note(reports[0])
    signed = draw_signed(groups, "F1 of the image minus F1 of the turned image", note)
    absolute = draw_absolute(groups, "F1, and how much it changes under quarter turns", note)
    save_figure(signed, out / "rotations_signed.png", svg=True)
    save_figure(absolute, out / "rotations.png", svg=True)
    return table


def rotation_note(report: RotationReport) -> str:
    """What a figure was measured on, in one line."""
    count = report.scores.images
    where = [report.data, report.section, f"{count} image" + "s" * (count != 1), report.region, report.precision]
    return f"{', '.join(filter(None, where))}; objects: {report.rule}"


def _check_comparable(paths: Sequence[Path], reports: Sequence[RotationReport]) -> None:
    first = reports[0]
    for path, report in zip(paths[1:], reports[1:], strict=True):
        for name in ("data", "section", "region", "classes", "precision"):
            _refuse(path, paths[0], name, getattr(report, name), getattr(first, name), "compare the same pixels")
        for name in ("iou_threshold", "min_area", "object_truth"):
            ours, theirs = getattr(report.scores, name), getattr(first.scores, name)
            _refuse(path, paths[0], name, ours, theirs, f"evaluate both with the same {name}")
        if report.images != first.images:
            raise InputError(
                f"{path}: other images than {paths[0]} ({len(report.images)} and {len(first.images)}); evaluate both "
                "with the same data set and max_images"
            )


def _refuse(path: Path, first: Path, name: str, ours: object, theirs: object, remedy: str) -> None:
    if ours != theirs:
        raise InputError(f"{path}: {name} is {ours!r} where {first} has {theirs!r}; {remedy}")
