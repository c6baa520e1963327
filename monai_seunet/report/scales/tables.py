"""Tables of scores over the scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from monai_seunet.drawing.style import strategy_label
from monai_seunet.drawing.table import Table, mark_best
from monai_seunet.report.scales.report import ScaleReport


def scale_table(report: ScaleReport) -> Table:
    """Return the score of every head at every scale and its mean (Table 1 of the SEUNet paper), in percent.

    The fusion strategies follow as further rows. The best head and the best strategy of every column are marked.
    """
    scores = report.scores
    values = 100 * np.vstack([scores.scores, np.nanmean(scores.scores, 0)]).T  # (predictors, scales + 1)
    frame = pd.DataFrame(values, [strategy_label(name) for name in scores.predictors], _scale_columns(report))
    heads = len(scores.heads)
    return Table("scale", frame, pd.concat([mark_best(frame[:heads]), mark_best(frame[heads:])]))


def method_table(reports: Sequence[ScaleReport]) -> Table:
    """Return mean score of each strategy, errors and parameters of several methods (Table 2 of the SEUNet paper).

    The first columns are the strategies; a network with one head has the same score under all of them. The range is
    the largest minus the smallest score over the scales by the network's strategy. The calibration error is that of
    pixels at scale 1 in percent, if it was counted. The highest scores, the lowest range and errors are marked.
    Reports of the same method are averaged, their curves before the range is taken. If there are such reports, two more
    columns have the standard deviation of their mean score by the network's strategy, and their number.
    """
    strategies = tuple(dict.fromkeys(name for report in reports for name in report.scores.strategies)) or ("score",)
    labels = [strategy_label(name) for name in strategies]
    methods = [report.method for report in reports]
    means = [[100 * report.scores.mean(report.scores.final(name)) for name in strategies] for report in reports]
    frame = _mean_of_methods(pd.DataFrame(means, methods, labels))
    best_mean = frame.round(2) == frame.round(2).max(axis=None)  # over all methods and strategies
    frame = frame.join(curve_summary(mean_curves(reports))[["at scale 1", "range"]])
    costs = [
        [r.equivariance.mean if r.equivariance else np.nan, _pixel_calibration_error(r), r.parameters / 1e6]
        for r in reports
    ]
    names = ["E_Err", "calibration error", "parameters (M)"]
    frame = frame.join(_mean_of_methods(pd.DataFrame(costs, methods, names)))
    if frame["calibration error"].isna().all():  # in reports of earlier versions
        frame = frame.drop(columns="calibration error")
    marks = [best_mean, mark_best(frame[["at scale 1"]]), mark_best(-frame[["range"]]), mark_best(-frame[["E_Err"]], 3)]
    marks.append(mark_best(-frame.filter(["calibration error"])))
    if len(frame) < len(reports):
        final = pd.Series([100 * report.scores.mean(report.final) for report in reports], methods)
        runs = final.groupby(level=0)
        frame = frame.assign(spread=runs.std(), runs=runs.size())
    digits = {"E_Err": 3, "parameters (M)": 3, "runs": 0}
    return Table(f"mean {reports[0].score_name} (%)", frame, pd.concat(marks, axis=1), digits)


def method_scale_table(reports: Sequence[ScaleReport]) -> Table:
    """Return the score of every method at every scale and its mean, in percent; the best method is marked.

    Reports of the same method are averaged.
    """
    curves = mean_curves(reports)
    frame = curves.assign(mean=curves.mean(axis=1)).set_axis(_scale_columns(reports[0]), axis=1)
    return Table("scale", frame, mark_best(frame))


def data_set_table(reports: Mapping[str, Sequence[ScaleReport]]) -> Table:
    """Return mean score, score at scale 1 and range of several methods on several data sets, in percent.

    The highest scores and the lowest range of every data set are marked. Reports of the same method are averaged, their
    curves before the range is taken.

    Args:
        reports: evaluations that can be compared, by the name of the data set; a method without one has empty cells.
    """
    summaries = [curve_summary(mean_curves(part)).add_prefix(f"{name}: ") for name, part in reports.items()]
    frame = pd.concat(summaries, axis=1)
    signs = [-1 if name.endswith(": range") else 1 for name in frame]
    names = dict.fromkeys(report.score_name for part in reports.values() for report in part)
    return Table(f"{', '.join(names)} (%)", frame, mark_best(frame * signs))


def mean_curves(reports: Sequence[ScaleReport]) -> pd.DataFrame:
    """Return the mean score of the final predictions of each method (rows) at each scale (columns), in percent."""
    curves = [100 * report.scores.curve(report.final) for report in reports]
    return _mean_of_methods(pd.DataFrame(curves, [report.method for report in reports], list(reports[0].scores.scales)))


def curve_summary(curves: pd.DataFrame) -> pd.DataFrame:
    """Return mean, score at scale 1 (NaN if the scale is missing) and range (largest minus smallest) of curves."""
    spread = curves.max(axis=1) - curves.min(axis=1)
    return pd.DataFrame({"mean": curves.mean(axis=1), "at scale 1": curves.get(1.0, np.nan), "range": spread})


def _pixel_calibration_error(report: ScaleReport) -> float:
    """Return the calibration error of pixels at scale 1 in percent; NaN if it was not counted."""
    pixels, scales = report.calibrations().get("pixels"), report.scores.scales
    return np.nan if pixels is None or 1.0 not in scales else 100 * float(pixels[scales.index(1.0)].error)


def _mean_of_methods(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean of the rows of the same name."""
    return runs.groupby(level=0, sort=False).mean()


def _scale_columns(report: ScaleReport) -> list[str]:
    """Return the scales as the paper prints them, or with more digits for a finer grid, and `mean`."""
    scales = report.scores.scales
    names = [f"{scale:.2g}" if scale < 1 else f"{scale:.3g}" for scale in scales]
    return [*(names if len(set(names)) == len(names) else [f"{scale:.4g}" for scale in scales]), "mean"]
