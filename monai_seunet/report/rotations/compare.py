"""Compare the evaluations of turned images of several networks, from their report files alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from monai_seunet.drawing.table import Table
from monai_seunet.report.rotations.figures import draw_absolute, draw_signed, method_groups
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.rotations.tables import rotation_method_table
from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_comparable(paths: Sequence[Path]) -> list[RotationReport]:
    """Read rotation reports of the same pixels by the same rule.

    Raises:
        InputError: if a file is no rotation report, or the reports differ in images, classes, pixels or rules.
    """
    reports = [RotationReport.load(path) for path in paths]
    _check_comparable(paths, reports)
    return reports


def comparison_tables(reports: Sequence[RotationReport]) -> dict[str, Table]:
    """`rotations`: scores of the methods and how much they change under quarter turns."""
    return {"rotations": rotation_method_table(reports)}


def comparison_figures(_: Sequence[Path], reports: Sequence[RotationReport]) -> Iterator[tuple[str, Figure]]:
    """`rotations_signed` (Figure 15 of the thesis) and `rotations` (Figure 17), by file name."""
    groups, note = method_groups(reports), rotation_note(reports[0])
    yield "rotations_signed", draw_signed(groups, "F1 of the image minus F1 of the turned image", note)
    yield "rotations", draw_absolute(groups, "F1, and how much it changes under quarter turns", note)


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
