"""Common style of all figures: colours that colour-blind readers can distinguish, and a fixed style of each method."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design", 2008.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7F7F7F"
LIGHT_GREY = "#D9D9D9"

LEGEND_BESIDE = dict[str, Any](fontsize=8, title_fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
CLASS_COLOURS = ("#F2F2F2", BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)


@dataclass(frozen=True)
class LineStyle:
    """Colour, dashes and marker of one method; dashes distinguish variants of a colour in print."""

    colour: str
    dashes: str | tuple[float, tuple[float, ...]] = "-"
    marker: str = "o"

    def options(self) -> dict[str, Any]:
        """Return keyword arguments for matplotlib's `plot`."""
        return {"color": self.colour, "linestyle": self.dashes, "marker": self.marker, "markersize": 4}


# by the names of the overlays; variants of a network differ in dashes and marker
_METHODS = {
    "seunet": LineStyle(BLUE),
    "seunet-fixed": LineStyle(BLUE, "--", "s"),
    "seunet-free": LineStyle(BLUE, ":", "^"),
    "seunet-geometric": LineStyle(SKY, "-", "D"),
    "seunet-geometric-5-groups": LineStyle(SKY, "--", "d"),
    "seunet-geometric-7-groups": LineStyle(SKY, "-.", "p"),
    "seunet-geometric-batch-2": LineStyle(SKY, ":", "."),
    "seunet-geometric-without-dice": LineStyle(SKY, "--", "h"),
    "seunet-octaves": LineStyle(BLUE, "-", "D"),
    "plainunet": LineStyle(VERMILION, "-", "s"),
    "pyramidunet": LineStyle(VERMILION, "-.", "D"),
    "plainunet-scale-augmented": LineStyle(VERMILION, "--", "s"),
    "sesnunet": LineStyle(GREEN, "-", "^"),
    "discounet": LineStyle(ORANGE, "-", "v"),
    "njet": LineStyle(PURPLE, "-", "P"),
    "rotoscaleunet-p4m": LineStyle(BLACK, "-", "*"),
    "rotoscaleunet-p4": LineStyle(BLACK, "--", "*"),
    "baselineunet": LineStyle(VERMILION, "-", "o"),
    "baselineunet-raw": LineStyle(VERMILION, ":", "o"),
    "simplifiedunet": LineStyle(VERMILION, "-.", "v"),
    "equivariantunet-p4m": LineStyle(BLUE, "-", "X"),
    "equivariantunet-p4": LineStyle(BLUE, "--", "X"),
    "gunet-p4m": LineStyle(GREEN, "-", "P"),
    "gunet-p4": LineStyle(GREEN, "--", "P"),
    "simplifiedgunet-p4m": LineStyle(PURPLE, "-", "v"),
    "simplifiedgunet-p4": LineStyle(PURPLE, "--", "v"),
    "gdenseunet-p4m": LineStyle(ORANGE, "-", "D"),
    "gdenseunet-p4": LineStyle(ORANGE, "--", "D"),
}
_OTHERS = [
    LineStyle(colour, dashes, marker)
    for colours, dashes, marker in (
        ((PURPLE, GREEN, ORANGE, SKY, BLACK, VERMILION, BLUE), "-.", "X"),
        ((BLACK, BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY), (0.0, (5.0, 1.0, 1.0, 1.0)), "h"),
    )
    for colour in colours
]
_STRATEGIES = {
    "arithmetic": LineStyle(GREY, ":", ""),
    "p_dist": LineStyle(BLACK, "--", ""),
    "p_ens": LineStyle(BLACK, "-.", ""),
    "p_max": LineStyle(BLACK, "-", ""),
    "p_power": LineStyle(VERMILION, ":", ""),
    "p_conf": LineStyle(VERMILION, "-", ""),
}


def method_style(method: str) -> LineStyle:
    """Return the style of a method name, equal in every figure and every run, also for unknown names."""
    return _METHODS.get(method.lower()) or _OTHERS[zlib.crc32(method.lower().encode()) % len(_OTHERS)]


def method_styles(methods: Iterable[str]) -> dict[str, LineStyle]:
    """Return the `method_style` of each method in a figure, with other styles for unknown names that would be equal."""
    styles: dict[str, LineStyle] = {}
    for method in dict.fromkeys(methods):
        style = method_style(method)
        if style in styles.values() and method.lower() not in _METHODS:
            style = next((other for other in _OTHERS if other not in styles.values()), style)
        styles[method] = style
    return styles


def predictor_style(predictor: str, num_heads: int) -> LineStyle:
    """Return the style of a head (dark to light with increasing sigma) or of a fusion strategy."""
    if predictor in _STRATEGIES:
        return _STRATEGIES[predictor]
    return LineStyle(head_colours(num_heads)[int(predictor.removeprefix("head ")) - 1])


def head_colours(num_heads: int) -> list[str]:
    """Return one colour for each scale group in the order of sigma: viridis without its lightest part."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    steps = max(num_heads - 1, 1)
    return [to_hex(colormaps["viridis"](0.9 * k / steps)) for k in range(num_heads)]


def strategy_label(predictor: str) -> str:
    """Return the spelling of the paper: Arithmetic, P_Dist, P_Ens, Head 1, and likewise P_Max, P_Power, P_Conf."""
    labels = {"p_dist": "P_Dist", "p_ens": "P_Ens", "p_max": "P_Max", "p_power": "P_Power", "p_conf": "P_Conf"}
    return labels.get(predictor, predictor.capitalize())


def new_figure(width: float, height: float) -> Figure:
    """Create an empty figure of a width and height in inches, without the global state of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def scale_axis(axes: Any, scales: tuple[float, ...], label: str = "test scale") -> None:
    """Format a logarithmic axis of scales, with labels at powers of two and a mark at the training scale."""
    from matplotlib.ticker import NullFormatter

    low, high = math.log2(min(scales)), math.log2(max(scales))
    ticks = [2.0**power for power in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)] or list(scales)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(list(scales), minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)
    axes.axvline(1.0, color=LIGHT_GREY, linewidth=6, zorder=0)


def clean_axes(axes: Any) -> None:
    """Remove the upper and right spines, and add a light horizontal grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
    axes.set_axisbelow(True)
