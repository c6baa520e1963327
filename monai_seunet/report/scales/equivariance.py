"""Figures of equivariance errors between scale groups of the image and the zoomed image (Figure 5 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.drawing.style import LEGEND_BESIDE, VERMILION, clean_axes, method_styles, new_figure, scale_axis
from monai_seunet.metrics import EquivarianceErrors
from monai_seunet.report.scales.curves import same_scales

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from monai_seunet.report.scales.report import ScaleReport


def draw_error_matrices(errors: EquivarianceErrors, labels: Sequence[str] | None = None, title: str = "") -> Figure:
    """Draw one matrix of equivariance errors for each scale, six in a row, with a frame around its lowest error.

    As in the paper, the scale group of the image runs along x and that of the zoomed image along y.

    Args:
        errors: as measured.
        labels: name of each scale group, such as its sigma; None numbers them.
        title: heading.
    """
    columns = min(6, len(errors.scales))
    rows = math.ceil(len(errors.scales) / columns)
    side = max(1.5, 0.38 * errors.matrices.shape[1])
    figure = new_figure(side * columns + 1.2, (side + 0.35) * rows + 0.7)
    fill_error_matrices(figure, errors, rows, columns, labels)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def fill_error_matrices(
    figure: Figure | SubFigure, errors: EquivarianceErrors, rows: int, columns: int, labels: Sequence[str] | None = None
) -> None:
    """Draw the matrices into an empty figure or subfigure of `rows` times `columns`, see `draw_error_matrices`."""
    from matplotlib.patches import Rectangle

    groups = errors.matrices.shape[1]
    labels = labels or [str(k + 1) for k in range(groups)]
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, scale, matrix, pair in zip(grid, errors.scales, errors.matrices, errors.pairs, strict=False):
        picture = axes.imshow(matrix.T, cmap="cividis_r", vmin=0, vmax=1)
        _write_values(axes, matrix.T)
        corner = (pair[0] - 1.5, pair[1] - 1.5)  # groups are numbered from 1
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILION, linewidth=2))
        axes.set_title(f"s = {scale:.3g}", fontsize=9)
        axes.set_xticks(range(groups), labels, fontsize=7)
        axes.set_yticks(range(groups), labels, fontsize=7)
        axes.tick_params(length=0)
    for axes in grid[len(errors.scales) :]:
        axes.set_axis_off()
    if groups > 1:
        figure.supxlabel("scale group of the image", fontsize=9)
        figure.supylabel("scale group of the zoomed image", fontsize=9)
    bar = figure.colorbar(picture, ax=list(grid), shrink=0.6 if rows > 1 else 1.0, extend="max")
    bar.set_label("relative squared error", fontsize=8)


def draw_error_curves(reports: Sequence[ScaleReport]) -> Figure:
    """Draw the equivariance error of several methods over the zoom (eq. 10); methods without one are left out.

    Reports of the same method at the same zooms are one curve, their mean, with a band from the lowest to the highest
    value.
    """
    measured = [(report.method, report.equivariance) for report in reports if report.equivariance is not None]
    if not measured:
        raise ValueError("no report has an equivariance error; evaluate with equivariance switched on")
    figure = new_figure(7.2, 3.8)
    axes = figure.add_subplot()
    for method, style in method_styles(method for method, _ in measured).items():
        ours = [errors for name, errors in measured if name == method]
        alike = [errors for errors in ours if same_scales(errors.scales, ours[0].scales)]
        runs = np.array([errors.errors for errors in alike])
        label = f"{method}  ({np.mean([errors.mean for errors in alike]):.3f})"
        axes.plot(ours[0].scales, runs.mean(0), label=label, **style.options())
        if len(runs) > 1:
            axes.fill_between(ours[0].scales, runs.min(0), runs.max(0), color=style.colour, alpha=0.2, linewidth=0)
    scale_axis(axes, max((errors.scales for _, errors in measured), key=len), "zoom")
    clean_axes(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("equivariance error of the best pair")
    axes.legend(title="mean (E_Err) in brackets", **LEGEND_BESIDE)
    return figure


def _write_values(axes: Any, matrix: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if value > 0.5 else "black"
        text = f"{value:.2f}".removeprefix("0") if value < 10 else "≫1"
        axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
