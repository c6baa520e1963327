"""Tables of F1 scores and of their change under quarter turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, mark_best
from monai_seunet.report.rotations.report import RotationReport

# column -> name in `RotationScores.summary`, factor, and 1 if higher is better or -1 if lower is better
_COLUMNS: Mapping[str, tuple[str, float, int]] = {
    "pixel F1": ("pixel_f1", 1, 1),
    "object F1": ("object_f1", 1, 1),
    "AJI": ("aji", 1, 1),
    "PQ": ("pq", 1, 1),
    "pixel change": ("f1_difference.pixel", 1, -1),
    "object change": ("f1_difference.object", 1, -1),
    "pixel unchanged (%)": ("f1_difference_zeros.pixel", 100, 1),
    "object unchanged (%)": ("f1_difference_zeros.object", 100, 1),
}
_DIGITS = {name: 1 if factor == 100 else 4 for name, (_, factor, _) in _COLUMNS.items()}


def rotation_table(report: RotationReport) -> Table:
    """Return the scores of every head and strategy of one network and their change under quarter turns.

    The columns are mean F1, AJI and PQ of the images without a turn, the mean absolute f1-score_difference, and the
    share of differences that are exactly zero.
    """
    names = report.scores.predictors
    rows = [_row(report, name) for name in names]
    return _table("predictor", pd.DataFrame(rows, [strategy_label(name) for name in names]))


def rotation_method_table(reports: Sequence[RotationReport]) -> Table:
    """Return the same for the final predictions of several methods, as means of their reports, and the parameters."""
    rows = pd.DataFrame([_row(report, report.final) for report in reports], [report.method for report in reports])
    parameters = {report.method: report.parameters / 1e6 for report in reports}
    return _table("method", rows.groupby(level=0, sort=False).mean()).with_column("parameters (M)", parameters, 3)


def _row(report: RotationReport, predictor: str) -> dict[str, float]:
    summary = report.scores.summary(predictor)
    return {column: factor * summary[name] for column, (name, factor, _) in _COLUMNS.items()}


def _table(corner: str, frame: pd.DataFrame) -> Table:
    marks = [mark_best(sign * frame[[name]], _DIGITS[name]) for name, (_, _, sign) in _COLUMNS.items()]
    return Table(corner, frame, pd.concat(marks, axis=1), _DIGITS)
