"""Figure of the learned filter sizes (Figure 3 of the SEUNet paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from monai_seunet.drawing.style import GREY, LEGEND_BESIDE, LIGHT_GREY, clean_axes, head_colours, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_sigmas(
    sigmas: Mapping[str, Sequence[float]],
    bounds: Mapping[str, Sequence[Sequence[float]]] | None = None,
    title: str = "",
) -> Figure:
    """Draw sigma of every layer and scale group, with the bounds that constrain it as dashed lines.

    Args:
        sigmas: sigma in pixels of each scale group, by layer name in the order of the network.
        bounds: lower and upper bound of each scale group, by layer name; None or empty if sigma is free.
        title: title of the figure.
    """
    groups = max(len(values) for values in sigmas.values())
    colours = head_colours(groups)
    figure = new_figure(max(5.0, 0.42 * len(sigmas) + 2.2), 4.4)
    axes = figure.add_subplot()
    for x, values in enumerate(sigmas.values(), start=1):
        axes.vlines(x, 0, max(values), color=LIGHT_GREY, linewidth=0.6, zorder=0)
    for layer, pairs in (bounds or {}).items():
        x = list(sigmas).index(layer) + 1
        for value in sorted({value for pair in pairs for value in pair}):
            axes.hlines(value, x - 0.36, x + 0.36, color=GREY, linewidth=0.9, linestyle=(0, (3, 1.5)))
    for k in range(groups):
        points = [(x, s[k]) for x, s in enumerate(sigmas.values(), start=1) if k < len(s)]
        axes.plot(*zip(*points, strict=True), "o", color=colours[k], markersize=6, label=f"group {k + 1}", zorder=3)
    if bounds:
        axes.plot([], [], color=GREY, linewidth=0.9, linestyle=(0, (3, 1.5)), label="bounds")
    clean_axes(axes)
    axes.grid(visible=False)  # the lines of the bounds replace it
    places = range(1, len(sigmas) + 1)
    axes.set_xticks(places, list(sigmas), rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_xlim(0.4, len(sigmas) + 0.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("σ (pixels of the layer's grid)")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(**LEGEND_BESIDE)
    return figure
