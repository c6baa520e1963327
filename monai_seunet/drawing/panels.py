"""Figures of predictions across scales (Figures 6 and 7 of the SEUNet paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.drawing.style import BLACK, BLUE, CLASS_COLOURS, LIGHT_GREY, ORANGE, head_colours, new_figure
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MISSED, _FALSE, _HIT, _EMPTY = ORANGE, BLUE, "#4D4D4D", "#F7F7F7"


@dataclass(frozen=True)
class ScalePanels:
    """One field of an image at K test scales, with its predictions.

    Attributes:
        scales: K test scales.
        images: images (K, h, w, 3) uint8, resampled to one size for display.
        labels: true classes (K, h, w).
        predictions: predicted classes (K, h, w).
        winners: indices of the winning scale groups (K, h, w).
        scores: K scores of the whole image.
        num_heads: number of scale groups.
        classes: class names.
    """

    scales: tuple[float, ...]
    images: np.ndarray
    labels: np.ndarray
    predictions: np.ndarray
    winners: np.ndarray
    scores: tuple[float, ...]
    num_heads: int
    classes: tuple[str, ...]

    def same_field(self, other: ScalePanels) -> bool:
        """Return whether both show the same field at the same scales."""
        return np.array_equal(self.labels, other.labels) and np.allclose(self.scales, other.scales)

    def save(self, path: str | Path) -> Path:
        """Write the panels as a compressed NumPy archive."""
        with atomic_write(path) as temporary:
            np.savez_compressed(
                temporary,
                scales=self.scales,
                images=self.images,
                labels=self.labels.astype(np.uint8),
                predictions=self.predictions.astype(np.uint8),
                winners=self.winners.astype(np.uint8),
                scores=self.scores,
                num_heads=self.num_heads,
                classes=np.array(self.classes),
            )
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> ScalePanels:
        """Read panels that `save` wrote, or raise an InputError if the file is missing or damaged."""
        try:
            with np.load(path, allow_pickle=False) as content:
                values = dict(content)
            return cls(
                scales=tuple(values.pop("scales").tolist()),
                scores=tuple(values.pop("scores").tolist()),
                num_heads=int(values.pop("num_heads")),
                classes=tuple(values.pop("classes").tolist()),
                **values,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not the panels of an evaluation ({error}); repeat the evaluation") from error


def draw_panels(panels: ScalePanels, title: str = "") -> Figure:
    """Draw image, prediction and winning scale group of one field, with one column for each test scale.

    With two classes, colours distinguish found, missed and false pixels. The score of the whole image is below each
    prediction; the highest score is bold.
    """
    rows = ["image", "prediction"] + (["winning group"] if panels.num_heads > 1 else [])
    count = len(panels.scales)
    figure = new_figure(2.0 * count + 1.6, 2.15 * len(rows) + 0.8)
    grid = figure.subplots(len(rows), count, squeeze=False)
    for k in range(count):
        grid[0, k].imshow(panels.images[k])
        grid[0, k].set_title(f"s = {panels.scales[k]:.3g}", fontsize=10)
        _draw_prediction(grid[1, k], panels, k)
        if len(rows) > 2:
            _draw_map(grid[2, k], panels.winners[k], head_colours(panels.num_heads))
    _name_rows(grid, rows)
    _legend(figure, grid[1, -1], _prediction_key(panels))
    if len(rows) > 2:
        groups = [f"group {k + 1}" for k in range(panels.num_heads)]
        _legend(figure, grid[2, -1], list(zip(head_colours(panels.num_heads), groups, strict=True)))
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def draw_method_panels(methods: Sequence[tuple[str, ScalePanels]], title: str = "") -> Figure:
    """Draw the predictions of several methods for one field, with one row for each method.

    There is one column for each test scale; its highest score is bold.

    Raises:
        ValueError: the panels show different fields or scales.
    """
    first = methods[0][1]
    if not all(first.same_field(panels) for _, panels in methods):
        raise ValueError("the panels show different fields or scales; evaluate all methods on the same images")
    count = len(first.scales)
    figure = new_figure(2.0 * count + 1.6, 2.15 * (len(methods) + 1) + 0.8)
    grid = figure.subplots(len(methods) + 1, count, squeeze=False)
    best = np.max([panels.scores for _, panels in methods], axis=0)
    for k in range(count):
        grid[0, k].imshow(first.images[k])
        grid[0, k].set_title(f"s = {first.scales[k]:.3g}", fontsize=10)
        for axes, (_, panels) in zip(grid[1:, k], methods, strict=True):
            _draw_prediction(axes, panels, k, bold=panels.scores[k] == best[k])
    _name_rows(grid, ["image", *(name for name, _ in methods)])
    _legend(figure, grid[1, -1], _prediction_key(first))
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure


def _draw_prediction(axes: Any, panels: ScalePanels, k: int, bold: bool | None = None) -> None:
    truth, prediction = panels.labels[k], panels.predictions[k]
    if len(panels.classes) == 2:
        _draw_map(axes, 2 * (truth == 1) + (prediction == 1), [_EMPTY, _FALSE, _MISSED, _HIT])
    else:
        _draw_map(axes, prediction, CLASS_COLOURS)
    bold = panels.scores[k] == max(panels.scores) if bold is None else bold
    axes.set_xlabel(f"{100 * panels.scores[k]:.1f}", fontsize=9, fontweight="bold" if bold else "normal", labelpad=2)


def _draw_map(axes: Any, values: np.ndarray, colours: Sequence[str]) -> None:
    """Draw a map of indices into `colours`."""
    from matplotlib.colors import to_rgb

    palette = np.array([to_rgb(colour) for colour in colours])
    axes.imshow(palette[np.minimum(values, len(palette) - 1)], interpolation="nearest")


def _prediction_key(panels: ScalePanels) -> list[tuple[str, str]]:
    if len(panels.classes) == 2:
        return [(_HIT, "found"), (_MISSED, "missed"), (_FALSE, "false")]
    return list(zip(CLASS_COLOURS, panels.classes, strict=False))


def _name_rows(grid: np.ndarray, names: Sequence[str]) -> None:
    for axes in grid.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(LIGHT_GREY)
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(name, fontsize=10)


def _legend(figure: Figure, axes: Any, key: Sequence[tuple[str, str]]) -> None:
    """Draw the colour key to the right of the last column."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=colour, edgecolor=BLACK, linewidth=0.4, label=name) for colour, name in key]
    place: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.02, 0.5)}
    axes.legend(handles=patches, fontsize=8, frameon=False, handlelength=1.0, handleheight=1.0, **place)
