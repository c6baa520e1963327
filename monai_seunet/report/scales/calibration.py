"""Table and figure of the calibration: whether a probability of 0.8 means that 80 % are nuclei."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from monai_seunet.drawing.style import BLUE, GREY, ORANGE, clean_axes, new_figure
from monai_seunet.drawing.table import Table
from monai_seunet.metrics import Calibration
from monai_seunet.metrics.calibration.counts import BINS
from monai_seunet.metrics.confusion import nan_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from monai_seunet.report.scales.report import ScaleReport


def calibration_table(report: ScaleReport) -> Table:
    """Return the calibration error and the overconfidence of pixels and objects, one row a scale, in percent.

    The last rows are the mean of the scales, and all pixels and objects of all scales.
    """
    rows = [*(f"{scale:.3g}" for scale in report.scores.scales), "mean", "all scales"]
    columns: dict[str, np.ndarray] = {}
    for name, part in report.calibrations().items():
        for title, values, pooled in (
            ("calibration error", part.error, part.pooled.error),
            ("overconfidence", part.overconfidence, part.pooled.overconfidence),
        ):
            columns[f"{title} of {name}"] = 100 * np.array([*values, nan_mean(values), pooled])
        numbers = part.counts.sum(-1)
        columns[name] = np.array([*numbers, np.nan, numbers.sum()], dtype=np.float64)
    return Table("scale", pd.DataFrame(columns, rows), digits=dict.fromkeys(report.calibrations(), 0))


def calibration_text(report: ScaleReport) -> str:
    """Return the calibration errors at scale 1 and their means over the scales as one line."""
    parts = []
    for name, part in report.calibrations().items():
        own = f"{100 * part.error[report.scores.scales.index(1.0)]:.2f}" if 1.0 in report.scores.scales else "-"
        parts.append(f"{name} {own} at scale 1, mean {100 * float(nan_mean(part.error)):.2f}")
    return "; ".join(parts)


def draw_calibration(report: ScaleReport) -> Figure:
    """Draw the reliability curves of pixels and objects, above the number of them in each bin.

    A curve below the diagonal is of probabilities that are too high. There is a curve of scale 1, or the scale next to
    it, and a curve of all scales.
    """
    parts = report.calibrations()
    own = int(np.abs(np.log(report.scores.scales)).argmin())
    figure = new_figure(0.4 + 4.2 * len(parts), 5.4)
    grid = figure.subplots(2, len(parts), sharex=True, squeeze=False, height_ratios=(3, 1))
    for (above, below), (name, part) in zip(grid.T, parts.items(), strict=True):
        above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        curves = [(f"scale {report.scores.scales[own]:.3g}", BLUE, part[own]), ("all scales", ORANGE, part.pooled)]
        for place, (label, colour, curve) in enumerate(curves):
            error = f"{100 * curve.error:.1f} %" if curve.counts.any() else f"no {name}"
            _draw_curve(above, below, curve, colour, f"{label}  ({error})", place)
        above.set(xlim=(0, 1), ylim=(0, 1), ylabel=_SHARES.get(name, ""))
        above.legend(title="calibration error in brackets", fontsize=8, title_fontsize=8, frameon=False, loc="best")
        below.set_yscale("symlog", linthresh=10)  # a network may find no object
        below.set(xlabel=_PROBABILITIES.get(name, "probability"), ylabel=name)
        for axes in (above, below):
            clean_axes(axes)
    figure.suptitle(f"{report.method}: are the probabilities right?", fontsize=11, x=0.01, ha="left")
    return figure


_SHARES = {"pixels": "share of foreground pixels", "objects": "share with a true object (IoU above 0.5)"}
_PROBABILITIES = {"pixels": "foreground probability", "objects": "mean probability of an object"}


def _draw_curve(above: Any, below: Any, part: Calibration, colour: str, label: str, place: int) -> None:
    """Draw the share over the probability, and the numbers as bars, two beside each other in a bin."""
    used = part.counts > 0
    above.plot(part.probability[used], part.share[used], color=colour, marker="o", markersize=4, label=label)
    left = (np.arange(BINS) + 0.1 + 0.4 * place) / BINS
    below.bar(left[used], part.counts[used], 0.4 / BINS, align="edge", color=colour)
