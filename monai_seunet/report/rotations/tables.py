"""Tables of F1 scores and of how much they change where the image is turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, mark_best
from monai_seunet.report.rotations.report import RotationReport

_DIGITS = 4
# column -> name in `RotationScores.summary`, factor, and whether more (1) or less (-1) is better
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


def rotation_table(report: RotationReport) -> Table:
    """Scores of every head and strategy of one network, and how much they change under quarter turns.

    Mean F1, AJI and PQ of the images as they are; mean absolute f1-score_difference; share of comparisons that differ
    by exactly zero.
    """
    names = report.scores.predictors
    values = np.array([_row(report, name) for name in names])
    return _table("predictor", tuple(strategy_label(name) for name in names), values)


def rotation_method_table(reports: Sequence[RotationReport]) -> Table:
    """The same for the final predictions of several methods, and their parameters; repetitions are averaged."""
    methods = tuple(dict.fromkeys(report.method for report in reports))
    values = [np.mean([_row(report, report.final) for report in reports if report.method == m], 0) for m in methods]
    parameters = {report.method: report.parameters / 1e6 for report in reports}
    return _table("method", methods, np.array(values)).with_column("parameters (M)", parameters, 3)


def _row(report: RotationReport, predictor: str) -> list[float]:
    summary = report.scores.summary(predictor)
    return [factor * summary[name] for name, factor, _ in _COLUMNS.values()]


def _table(corner: str, rows: tuple[str, ...], values: np.ndarray) -> Table:
    digits = {name: 1 if factor == 100 else _DIGITS for name, (_, factor, _) in _COLUMNS.items()}
    best = [
        mark_best(sign * values[:, place : place + 1], digits[name])
        for place, (name, (_, _, sign)) in enumerate(_COLUMNS.items())
    ]
    return Table(corner, rows, tuple(_COLUMNS), values, np.hstack(best), digits)
