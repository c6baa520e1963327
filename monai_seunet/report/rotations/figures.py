"""Box plots of the change of F1 under turns (Figures 15 and 17 of the rotation thesis)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.drawing.style import (
    BLACK,
    BLUE,
    GREY,
    SKY,
    clean_axes,
    method_styles,
    new_figure,
    predictor_style,
    strategy_label,
)
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.rotation_scores import TURNS
from monai_seunet.report.rotations.report import RotationReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = {"pixel": "Pixel-wise", "object": "Object-wise"}


@dataclass(frozen=True)
class Group:
    """F1 scores of one box.

    Attributes:
        name: name below the box.
        colour: colour of the box.
        f1: F1 of every image without a turn, by level.
        differences: F1 of the image minus F1 of the turned image for every image and turn, by level.
    """

    name: str
    colour: str
    f1: dict[str, np.ndarray]
    differences: dict[str, np.ndarray]

    def zeros(self, level: str) -> float:
        """Return the share of differences that are exactly zero."""
        return float((self.differences[level] == 0).mean())


def method_groups(reports: Sequence[RotationReport]) -> list[Group]:
    """Return one group for each method, with the values of all its reports."""
    styles = method_styles(report.method for report in reports)
    return [
        _group(name, style.colour, [(r, r.final, TURNS) for r in reports if r.method == name])
        for name, style in styles.items()
    ]


def predictor_groups(report: RotationReport) -> list[Group]:
    """Return one group for each head and strategy of a network, and a single group for a network with one head."""
    if len(report.scores.predictors) == 1:
        return method_groups([report])
    heads = sum(name.startswith("head ") for name in report.scores.predictors)
    return [
        _group(strategy_label(name), predictor_style(name, heads).colour, [(report, name, TURNS)])
        for name in report.scores.predictors
    ]


def turn_groups(report: RotationReport) -> list[Group]:
    """Return one group for each turn of the final prediction; mirrored poses have another colour."""
    poses = [pose for pose in report.scores.poses if pose != "0"]
    return [
        _group(
            f"{pose}°" if pose in TURNS else pose.replace(" ", "\n") + "°" * (" " in pose),
            BLUE if pose in TURNS else SKY,
            [(report, report.final, (pose,))],
        )
        for pose in poses
    ]


def draw_signed(groups: Sequence[Group], title: str = "", note: str = "") -> Figure:
    """Draw box plots of the signed differences (Figure 15); positive values mean a lower F1 of the turned image."""
    figure = new_figure(max(6.4, 1.1 * len(groups) + 2), 4.2)
    for axes, (level, word) in zip(figure.subplots(1, 2), _LEVELS.items(), strict=True):
        _boxes(axes, groups, [group.differences[level].ravel() for group in groups])
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=1)
        axes.set_ylabel(f"{word} f1-score_difference, signed", fontsize=9)
    _titles(figure, title, note)
    return figure


def draw_absolute(groups: Sequence[Group], title: str = "", note: str = "") -> Figure:
    """Draw bars of the mean F1 and box plots of the absolute differences (Figure 17).

    The upper row is by objects, the lower row by pixels. The diamond is the mean. Above each box is the share of exact
    zeros.
    """
    figure = new_figure(max(6.8, 1.1 * len(groups) + 2), 7.2)
    for (left, right), (level, word) in zip(figure.subplots(2, 2), reversed(_LEVELS.items()), strict=True):
        _bars(left, groups, level)
        left.set_ylabel(f"{word} F1, mean over the images", fontsize=9)
        _boxes(right, groups, [np.abs(group.differences[level]).ravel() for group in groups])
        right.set_ylabel(f"{word} f1-score_difference, absolute", fontsize=9)
        right.set_ylim(bottom=-0.03 * right.get_ylim()[1])  # shows a box at zero
        for x, group in enumerate(groups, start=1):
            share = f"{100 * group.zeros(level):.0f} %"
            above = ("data", "axes fraction")
            right.annotate(share, (x, 1), xycoords=above, ha="center", va="bottom", fontsize=7, color=GREY)
        right.set_title("exactly zero in", loc="left", fontsize=7, color=GREY, pad=12)
    _titles(figure, title, note)
    return figure


def _group(name: str, colour: str, parts: Sequence[tuple[RotationReport, str, tuple[str, ...]]]) -> Group:
    f1, differences = {}, {}
    for level in _LEVELS:
        scores = [(r.scores, predictor, poses) for r, predictor, poses in parts]
        f1[level] = np.concatenate([s.scores[f"{level}_f1"][:, 0, s.predictors.index(name)] for s, name, _ in scores])
        differences[level] = np.concatenate([s.differences(level, name, poses) for s, name, poses in scores])
    return Group(name, colour, f1, differences)


def _bars(axes: Any, groups: Sequence[Group], level: str) -> None:
    means = [float(nan_mean(group.f1[level])) for group in groups]
    bars = axes.bar(range(1, len(groups) + 1), means, width=0.6, color=[group.colour for group in groups], alpha=0.6)
    axes.bar_label(bars, [f"{mean:.3f}" for mean in means], fontsize=7, padding=2)
    axes.set_ylim(0, 1.05)
    _name_boxes(axes, groups)


def _boxes(axes: Any, groups: Sequence[Group], values: Sequence[np.ndarray]) -> None:
    """Draw boxes between the quartiles, whiskers up to 1.5 times their distance, and outliers as dots."""
    median = {"color": BLACK, "linewidth": 1.4}
    mean = {"marker": "D", "markerfacecolor": "white", "markeredgecolor": BLACK, "markersize": 4}
    outliers = {"marker": "o", "markersize": 2.5, "markerfacecolor": BLACK, "markeredgecolor": "none", "alpha": 0.5}
    parts = {"medianprops": median, "meanprops": mean, "flierprops": outliers}
    drawn = axes.boxplot(values, widths=0.5, patch_artist=True, showmeans=True, **parts)
    for box, group in zip(drawn["boxes"], groups, strict=True):
        box.set_facecolor(group.colour)
        box.set_alpha(0.6)  # shows the median on black, too
    _name_boxes(axes, groups)


def _name_boxes(axes: Any, groups: Sequence[Group]) -> None:
    rotated = len(groups) > 3 and max(max(map(len, group.name.split("\n"))) for group in groups) > 8
    options = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if rotated else {}
    axes.set_xticks(range(1, len(groups) + 1), [group.name for group in groups], fontsize=8, **options)
    axes.set_xlim(0.4, len(groups) + 0.6)
    axes.tick_params(axis="y", labelsize=8)
    clean_axes(axes)


def _titles(figure: Figure, title: str, note: str) -> None:
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    lines = textwrap.fill(note, int(16 * figure.get_figwidth()))
    figure.supxlabel(lines, fontsize=7.5, x=0.01, ha="left", color="#555555")
