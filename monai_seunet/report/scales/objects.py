"""Tables and figure of the scores of objects over the test scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from monai_seunet.drawing.style import LEGEND_BESIDE, clean_axes, new_figure, scale_axis
from monai_seunet.drawing.table import Table
from monai_seunet.metrics.objects.errors import KINDS
from monai_seunet.metrics.objects.scores import SCORES, ObjectScores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "aji": "AJI",
    "pq": "PQ",
    "sq": "SQ",
    "dq": "F1 (DQ)",
    "ap_50": "AP at 0.5",
    "ap_70": "AP at 0.7",
    "ap_90": "AP at 0.9",
}
_SAME = 1e-6  # largest difference of equal scales
_DRAWN = {"aji": "#0072b2", "pq": "#d55e00", "dq": "#009e73"}
_KIND_COLOURS = ("#009e73", "#56b4e9", "#0072b2", "#e69f00", "#d55e00", "#999999")


def object_table(scores: ObjectScores) -> Table:
    """Return the mean scores over the images in percent and the number of objects of each kind, one row a scale."""
    columns = {LABELS[name]: 100 * scores.curve(name) for name in SCORES}
    columns |= {kind: scores.kinds()[kind] for kind in KINDS}
    frame = pd.DataFrame(columns, [f"{scale:.3g}" for scale in scores.scales])
    return Table("scale", frame, digits=dict.fromkeys(KINDS, 0))


def object_methods_table(methods: Mapping[str, Sequence[ObjectScores]]) -> Table:
    """Return AJI, PQ and F1 at scale 1 and their lowest values from scale 0.5 to 2, one row a method.

    Values are means of the runs in percent; the lowest is of their mean curve. The best of every column is marked.

    Args:
        methods: scores of the runs of each method; all at the same scales.
    """
    rows: dict[str, dict[str, float]] = {}
    for method, runs in methods.items():
        scales = np.array(runs[0].scales)
        near = (scales >= 0.5 - _SAME) & (scales <= 2 + _SAME)
        near = near if near.any() else np.ones_like(near)
        own = np.abs(np.log(scales)).argmin()
        curves = {LABELS[name]: 100 * np.mean([run.curve(name) for run in runs], axis=0) for name in _DRAWN}
        for label, curve in curves.items():
            rows.setdefault(method, {}).update({label: curve[own], f"lowest {label}": np.nanmin(curve[near])})
    frame = pd.DataFrame.from_dict(rows, "index")
    table = Table("single objects (%)", frame, frame == frame.max())
    return table.with_column("runs", {name: len(runs) for name, runs in methods.items()}, 0)


def draw_objects(scores: ObjectScores, title: str) -> Figure:
    """Draw AJI, PQ and F1 over the test scale with 95 % intervals, above the shares of kinds of objects."""
    figure = new_figure(7.2, 6.4)
    above, below = figure.subplots(2, 1, sharex=True)
    for name, colour in _DRAWN.items():
        curve, ends = 100 * scores.curve(name), 100 * scores.interval(name)
        above.plot(scores.scales, curve, color=colour, label=f"{LABELS[name]}  ({np.nanmean(curve):.1f})")
        above.fill_between(scores.scales, *ends.T, color=colour, alpha=0.15, linewidth=0)
    above.set_ylabel("mean over the images (%)")
    above.set_ylim(bottom=0)
    kinds = scores.kinds()
    shares = 100 * np.stack([kinds[name] for name in KINDS[:-1]]) / np.maximum(sum(kinds[n] for n in KINDS[:-1]), 1)
    below.stackplot(scores.scales, shares, labels=KINDS[:-1], colors=_KIND_COLOURS, alpha=0.8)
    false = 100 * kinds["false"] / np.maximum(sum(kinds[name] for name in KINDS[:-1]), 1)
    below.plot(scores.scales, false, color="#333333", linestyle="--", label="false")
    below.set_ylabel("share of the true objects (%)")
    below.set_ylim(0, max(100.0, float(false.max())))
    for axes, legend in ((above, "mean over scales in brackets"), (below, "what became of them")):
        scale_axis(axes, scores.scales)
        clean_axes(axes)
        axes.legend(title=legend, **LEGEND_BESIDE)
    above.set_xlabel("")
    above.set_title(title, loc="left", fontsize=11)
    return figure
