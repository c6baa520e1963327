"""Figures of scores over the test scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.drawing.style import (
    LEGEND_BESIDE,
    clean_axes,
    method_styles,
    new_figure,
    predictor_style,
    scale_axis,
    strategy_label,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from monai_seunet.report.scales.report import ScaleReport


def draw_heads(report: ScaleReport) -> Figure:
    """Draw the score of every head and every fusion strategy of one network over the test scale."""
    scores = report.scores
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    for predictor in scores.predictors:
        style = predictor_style(predictor, len(scores.heads))
        label = f"{strategy_label(predictor)}  ({100 * scores.mean(predictor):.1f})"
        width = 2.2 if predictor == report.final else 1.3
        axes.plot(scores.scales, 100 * scores.curve(predictor), linewidth=width, label=label, **style.options())
    _finish(axes, scores.scales, report)
    groups = ": scale groups and their fusion" if len(scores.heads) > 1 else ""
    axes.set_title(f"{report.method}{groups}", loc="left", fontsize=11, pad=20)
    return figure


def draw_methods(reports: Sequence[ScaleReport]) -> Figure:
    """Draw the score of several methods over the test scale (the SEUNet paper's Figure 2).

    Reports of the same method are one curve, their mean, with a band from the lowest to the highest value.

    Raises:
        ValueError: the reports have different scales.
    """
    scales = reports[0].scores.scales
    if any(not same_scales(report.scores.scales, scales) for report in reports):
        raise ValueError("the reports are on different test scales; evaluate all with the same range and step")
    figure = new_figure(7.2, 4.2)
    axes = figure.add_subplot()
    for method, style in method_styles(report.method for report in reports).items():
        runs = np.array([100 * r.scores.curve(r.final) for r in reports if r.method == method])
        seeds = f", {len(runs)} runs" if len(runs) > 1 else ""
        label = f"{method}  ({np.nanmean(runs):.1f}{seeds})"
        axes.plot(scales, runs.mean(0), linewidth=1.8, label=label, **style.options())
        if len(runs) > 1:
            axes.fill_between(scales, runs.min(0), runs.max(0), color=style.colour, alpha=0.2, linewidth=0)
    _finish(axes, scales, reports[0])
    return figure


def same_scales(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Return whether two grids of scales are equal within rounding errors."""
    return len(ours) == len(theirs) and np.allclose(ours, theirs)


def _finish(axes: Any, scales: Sequence[float], report: ScaleReport) -> None:
    scale_axis(axes, tuple(scales))
    clean_axes(axes)
    axes.set_ylabel(f"{report.score_name} (%)")
    axes.set_ylim(bottom=0)
    axes.legend(title="mean over scales in brackets", **LEGEND_BESIDE)
    where, count = [part for part in (report.data, report.section) if part], report.scores.images
    note = ", ".join([*where, f"{count} image" + "s" * (count != 1)])
    axes.text(0, 1.02, note, transform=axes.transAxes, fontsize=8, color="#555555")  # below a title of any length
