"""Tables of scores over the scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, mark_best
from monai_seunet.report.scales.report import ScaleReport


def scale_table(report: ScaleReport) -> Table:
    """Score of every head at every scale and its mean over the scales (Table 1 of the SEUNet paper), in percent.

    The fusion strategies follow as further rows. The best head and the best strategy of every column are marked.
    """
    scores = report.scores
    values = 100 * np.vstack([scores.scores, np.nanmean(scores.scores, 0)]).T  # (predictors, scales + 1)
    heads = len(scores.heads)
    best = np.vstack([mark_best(values[:heads]), mark_best(values[heads:])]) if scores.strategies else mark_best(values)
    return Table(
        corner="scale",
        rows=tuple(strategy_label(name) for name in scores.predictors),
        columns=_scale_columns(report),
        values=values,
        best=best,
    )


def method_table(reports: Sequence[ScaleReport]) -> Table:
    """Compare methods (Table 2 of the SEUNet paper): mean score of each strategy, E_Err, parameters.

    The first columns are the strategies; a network with one head has its score under every one. The range is the
    largest less the smallest score over the scales by the network's strategy. The highest scores, the lowest range and
    the lowest error are marked. Reports of the same method are averaged, their curves before the range is taken; where
    there are such, two columns more have the standard deviation of their mean score by the network's strategy, and how
    many there are.
    """
    methods = tuple(dict.fromkeys(report.method for report in reports))
    strategies = tuple(dict.fromkeys(name for report in reports for name in report.scores.strategies)) or ("score",)
    columns = (*(strategy_label(name) for name in strategies), "at scale 1", "range", "E_Err", "parameters (M)")
    values = np.array(
        [_method_row([report for report in reports if report.method == method], strategies) for method in methods]
    )
    means, at_one, ranges, error, parameters = np.split(values, [len(strategies), -3, -2, -1], axis=1)
    best_mean = mark_best(means.reshape(-1, 1)).reshape(means.shape)  # over all methods and strategies
    best_others = [mark_best(at_one), mark_best(-ranges), mark_best(-error, 3), np.zeros_like(parameters, dtype=bool)]
    best = np.hstack([best_mean, *best_others])
    corner = f"mean {reports[0].score_name} (%)"
    table = Table(corner, methods, columns, values, best, digits={"E_Err": 3, "parameters (M)": 3})
    runs = {
        method: [100 * report.scores.mean(report.final) for report in reports if report.method == method]
        for method in methods
    }
    if len(reports) == len(methods):
        return table
    spread = {method: float(np.std(scores, ddof=1)) for method, scores in runs.items() if len(scores) > 1}
    counts = {method: len(scores) for method, scores in runs.items()}
    return table.with_column("spread", spread, 2).with_column("runs", counts, 0)


def method_scale_table(reports: Sequence[ScaleReport]) -> Table:
    """Score of every method at every scale and its mean over the scales, in percent; the best method is marked.

    Reports of the same method are averaged.
    """
    methods = tuple(dict.fromkeys(report.method for report in reports))
    curves = [mean_curve([report for report in reports if report.method == method]) for method in methods]
    values = np.column_stack([curves, np.nanmean(curves, 1)])
    return Table("scale", methods, _scale_columns(reports[0]), values, mark_best(values))


def data_set_table(reports: Mapping[str, Sequence[ScaleReport]]) -> Table:
    """Compare methods over several data sets: mean score over the scales, score at scale 1 and range, in percent.

    The highest scores and the lowest range of every data set are marked. Reports of the same method are averaged, their
    curves before the range is taken.

    Args:
        reports: of evaluations that can be compared, by the name of the data set; empty cells where a method has none.
    """
    methods = tuple(dict.fromkeys(report.method for found in reports.values() for report in found))
    values = np.full((len(methods), len(reports), 3), np.nan)
    for column, found in enumerate(reports.values()):
        for method in dict.fromkeys(report.method for report in found):
            alike = [report for report in found if report.method == method]
            curve = mean_curve(alike)
            summary = np.nanmean(curve), _at_scale_1(alike[0], curve), score_range(curve)
            values[methods.index(method), column] = summary
    best = np.stack([mark_best(values[..., 0]), mark_best(values[..., 1]), mark_best(-values[..., 2])], -1)
    columns = tuple(f"{name}: {what}" for name in reports for what in ("mean", "at scale 1", "range"))
    names = dict.fromkeys(report.score_name for found in reports.values() for report in found)
    shape = (len(methods), len(columns))
    return Table(f"{', '.join(names)} (%)", methods, columns, values.reshape(shape), best.reshape(shape))


def mean_curve(reports: Sequence[ScaleReport]) -> np.ndarray:
    """Score of the final prediction at every scale, the mean of several reports, in percent."""
    return np.asarray(100 * np.mean([report.scores.curve(report.final) for report in reports], 0))


def score_range(curve: np.ndarray) -> float:
    """The largest less the smallest score over the scales."""
    return float(np.nanmax(curve) - np.nanmin(curve))


def _scale_columns(report: ScaleReport) -> tuple[str, ...]:
    """The scales as the paper prints them, or with more digits where a finer grid needs them, and the mean."""
    scales = report.scores.scales
    names = tuple(f"{scale:.2g}" if scale < 1 else f"{scale:.3g}" for scale in scales)
    return (*(names if len(set(names)) == len(names) else (f"{scale:.4g}" for scale in scales)), "mean")


def _method_row(reports: Sequence[ScaleReport], strategies: Sequence[str]) -> list[float]:
    means = [
        float(np.mean([100 * report.scores.mean(report.scores.final(name)) for report in reports]))
        for name in strategies
    ]
    curve = mean_curve(reports)
    error = float(np.mean([report.equivariance.mean if report.equivariance else np.nan for report in reports]))
    parameters = float(np.mean([report.parameters for report in reports]))
    return [*means, _at_scale_1(reports[0], curve), score_range(curve), error, parameters / 1e6]


def _at_scale_1(report: ScaleReport, curve: np.ndarray) -> float:
    """The value of a curve over the scales of a report at scale 1; NaN where that is none of them."""
    return next((float(value) for scale, value in zip(report.scores.scales, curve, strict=True) if scale == 1), np.nan)
