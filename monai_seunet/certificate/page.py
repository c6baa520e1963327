"""Page that shows a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.certificate.build import Pictures
from monai_seunet.drawing.style import BLUE, GREY, LIGHT_GREY, VERMILION, LineStyle, clean_axes, new_figure, scale_axis
from monai_seunet.metrics import EquivarianceErrors
from monai_seunet.report.scales.equivariance import fill_error_matrices

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

STYLES = {"network": LineStyle(BLUE, "-", "o"), "control": LineStyle(VERMILION, "-", "s")}
SIDES = {
    "multiple": "{side} px: a multiple of the stride",
    "padded": "{side} px: padded alike at both ends",
    "odd": "{side} px: odd, half a pixel off",
}
TICKS = ("90°", "180°", "270°", "m", "m90°", "m180°", "m270°")
SHOWN_ZOOMS = (0.25, 0.5, 1.0, 2.0, 4.0)
FLOOR = 1e-17  # an error of zero is drawn here
TITLE: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "x": 0.012, "ha": "left"}


def sentences(certificate: Mapping[str, Any]) -> list[str]:
    """Return the results as sentences."""
    rotation, zoom, shift = certificate["rotation"], certificate["zoom"], certificate["shift"]
    control, blind = certificate["control"], certificate["prediction"]["foreground_share"] in (0, 1)
    name = f"{control['name']}, {'trained' if control['weights'] == 'trained' else 'random weights'}"
    promise = {
        "p1": "and mirrors, which this network does not promise",
        "p4": "which this network promises, and no mirrors",
        "p4m": "and mirrors, which this network promises",
    }[rotation["group"]]
    return [
        f"Quarter turns ({promise}): largest relative error {_number(rotation['max_relative_error_float64'])} in "
        f"float64, {_number(rotation['max_relative_error_float32'])} in float32; "
        f"control {_number(rotation['control_max_relative_error'])}",
        f"Zoom by 0.25 to 4: E_Err {zoom['e_err']:.2g}; control {zoom['control_e_err']:.2g}",
        f"Windows shifted by the stride ({shift['stride']} px): {100 * shift['changed_by_stride']:.2g} % of the pixels "
        f"change class; control {100 * shift['control_changed_by_stride']:.2g} %. By 1 px: "
        f"{100 * shift['changed_by_one_pixel']:.2g} %; control {100 * shift['control_changed_by_one_pixel']:.2g} % "
        f"({shift['margin']} px from the border)",
        f"Control: {name}",
        *(["The network finds nothing on these images: a constant answer keeps every symmetry"] if blind else []),
    ]


def draw_certificate(certificate: Mapping[str, Any], pictures: Pictures) -> Figure:
    """Draw the result of `make_certificate`.

    Args:
        certificate: values of the certificate.
        pictures: one image with its predictions.
    """
    matrices = certificate["network"]["scale_groups"] > 1
    figure = new_figure(13.0, 13.8 if matrices else 11.0)
    heights = [2.35, 3.0, 3.0, 3.1, *([2.75] if matrices else [])]
    parts: np.ndarray = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _write_header(parts[0], certificate)
    _draw_turns(parts[1], certificate)
    _draw_pictures(parts[2], certificate, pictures)
    left, right = parts[3].subfigures(1, 2, squeeze=False)[0]
    _draw_zoom(left, certificate)
    _draw_shift(right, certificate)
    if matrices:
        _draw_matrices(parts[4], certificate)
    return figure


def _write_header(figure: SubFigure, certificate: Mapping[str, Any]) -> None:
    network, control, data = certificate["network"], certificate["control"], certificate["data"]
    figure.text(0.012, 0.86, f"Equivariance of {network['name']}", fontsize=17, fontweight="bold")
    lines = [
        _describe("network", network),
        _describe("control", control),
        f"data: {len(data['images'])} image(s) of {Path(data['source']).name or data['source']}"
        f"{', ' + data['section'] if data['section'] else ''};   {certificate['created'][:10]}",
    ]
    for n, (line, colour) in enumerate(zip(lines, (BLUE, VERMILION, GREY), strict=True)):
        figure.text(0.012, 0.72 - 0.1 * n, line, fontsize=9.5, color=colour)
    results = sentences(certificate)
    for n, line in enumerate([*results[:3], *results[4:]]):
        figure.text(0.012, 0.39 - 0.11 * n, line, fontsize=11, fontweight="bold" if n > 2 else "normal")


def _describe(role: str, network: Mapping[str, Any]) -> str:
    weights = f"sha256 {network['sha256'][:12]}" if network["sha256"] else network["weights"]
    return f"{role}: {network['name']} ({network['overlay']}), {network['parameters']:,} parameters, {weights}"


def _draw_turns(figure: SubFigure, certificate: Mapping[str, Any]) -> None:
    """Draw the relative errors of every turn and mirror in one panel for each kind of side."""
    rotation = certificate["rotation"]
    figure.suptitle("Turns and mirrors: relative error of the logits (m: mirrored first)", **TITLE)
    panels = figure.subplots(1, len(rotation["sides"]), sharey=True, squeeze=False)[0]
    positions = np.arange(len(TICKS))
    for axes, (kind, side) in zip(panels, rotation["sides"].items(), strict=True):
        for role, dodge in (("network", -0.12), ("control", 0.12)):
            _draw_elements(axes, rotation[role][kind], certificate[role]["name"], STYLES[role], positions + dodge)
        axes.set_xticks(positions, TICKS, fontsize=8)
        axes.set(yscale="log", xlim=(-0.6, len(TICKS) - 0.4), ylim=(FLOOR / 3, 30))
        axes.set_title(SIDES[kind].format(side=side), fontsize=9.5)
        promised = {"p1": 0, "p4": 3, "p4m": 7}[rotation["group"]]
        if promised and kind != "odd":
            axes.axvspan(-0.5, promised - 0.5, color=BLUE, alpha=0.07, linewidth=0)
            axes.text(-0.4, 1e-11, "promised: exact up to rounding", fontsize=8.5, color=BLUE)
        clean_axes(axes)
    panels[0].set_ylabel("relative error")
    lines = panels[0].get_legend_handles_labels()
    panels[-1].legend(*lines, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_elements(axes: Any, errors: Mapping[str, Any], name: str, style: LineStyle, positions: np.ndarray) -> None:
    for dtype, face in (("float32", "white"), ("float64", style.colour)):
        if errors[dtype] is None:
            axes.text(3, 1e-8, f"{name} refuses this side", ha="center", fontsize=8, color=style.colour)
            return
        marker = {"marker": style.marker, "markersize": 9 if dtype == "float32" else 5.5, "linestyle": ""}
        colours = {"markerfacecolor": face, "markeredgecolor": style.colour}
        axes.plot(positions, np.maximum(errors[dtype], FLOOR), label=f"{name}, {dtype}", **marker, **colours)


def _draw_pictures(figure: SubFigure, certificate: Mapping[str, Any], pictures: Pictures) -> None:
    """Draw the image, the predictions, and the pixels that change if the image is turned, segmented and turned back."""
    figure.suptitle("Turned by 90°, segmented and turned back: pixels that change class", **TITLE)
    grid = figure.subplots(1, 5)
    grid[0].imshow(pictures.image)
    grid[0].set_title(shorten(certificate["data"]["images"][0], 28), fontsize=8)
    for n, role in enumerate(("network", "control")):
        plain, back = pictures.predictions[n], pictures.turned_back[n]
        name, colour = certificate[role]["name"], STYLES[role].colour
        grid[1 + 2 * n].imshow(_classes(plain))
        grid[1 + 2 * n].set_title(f"{name}: prediction", fontsize=9, color=colour)
        grid[2 + 2 * n].imshow(_changes(plain, back))
        share = 100 * float((plain != back).mean())
        grid[2 + 2 * n].set_title(f"{name}: {share:.2g} % change", fontsize=9, color=colour)
    for axes in grid:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(LIGHT_GREY)


def shorten(name: str, letters: int) -> str:
    """Shorten a name to the given number of letters by leaving out its middle."""
    half = (letters - 1) // 2
    return name if len(name) <= letters else f"{name[:half]}…{name[-half:]}"


def _classes(classes: np.ndarray) -> np.ndarray:
    """Return a grey picture of class indices; higher indices are darker."""
    return np.repeat(0.95 - 0.6 * classes[..., None] / max(1, classes.max()), 3, axis=2)


def _changes(plain: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return a picture of the prediction in light grey with changed pixels in black."""
    pale = 1 - 0.25 * (1 - _classes(plain))
    pale[plain != back] = 0
    return pale


def _draw_zoom(figure: SubFigure, certificate: Mapping[str, Any]) -> None:
    figure.suptitle("Zoom: error of the best pair of scale groups", **TITLE)
    axes = figure.subplots()
    for role in ("network", "control"):
        errors = EquivarianceErrors.from_dict(certificate["zoom"][role])
        moved = [n for n, scale in enumerate(errors.scales) if scale != 1]
        label = f"{certificate[role]['name']}, E_Err {errors.mean:.2g}"
        axes.plot(np.array(errors.scales)[moved], errors.errors[moved], label=label, **STYLES[role].options())
    scale_axis(axes, errors.scales, "zoom of the image")
    axes.set(yscale="log", ylabel="relative squared error")
    axes.legend(fontsize=8.5, frameon=False)
    clean_axes(axes)


def _draw_shift(figure: SubFigure, certificate: Mapping[str, Any]) -> None:
    shift = certificate["shift"]
    figure.suptitle(f"Shift: two windows of {shift['window']} px that overlap (0 is drawn at 1e-8)", **TITLE)
    axes = figure.subplots()
    for role in ("network", "control"):
        for errors in shift[role]:
            if errors["shift"] == 2 * shift["stride"]:
                continue
            style = STYLES[role] if errors["shift"] > 1 else replace(STYLES[role], dashes="--", marker="")
            amount = f"{errors['shift']} px" + (", the stride" if errors["shift"] == shift["stride"] else "")
            values = np.maximum(errors["differences"], 1e-8)
            axes.plot(errors["margins"], values, label=f"{certificate[role]['name']}, by {amount}", **style.options())
    axes.set(yscale="log", xlabel="pixels from the border of the windows that are left out")
    axes.set(ylim=(None, 2), ylabel="largest difference\nof a probability")
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    clean_axes(axes)


def _draw_matrices(figure: SubFigure, certificate: Mapping[str, Any]) -> None:
    errors = EquivarianceErrors.from_dict(certificate["zoom"]["network"])
    chosen = [n for n, scale in enumerate(errors.scales) if scale in SHOWN_ZOOMS]
    scales, zooms = ([values[n] for n in chosen] for values in (errors.scales, errors.zooms))
    selected = EquivarianceErrors(tuple(scales), tuple(zooms), errors.matrices[chosen], errors.images)
    figure.suptitle(f"{certificate['network']['name']}: which scale group answers after a zoom by s", **TITLE)
    fill_error_matrices(figure, selected, 1, len(chosen))


def _number(value: float | None) -> str:
    return "none (the side is refused)" if value is None else f"{value:.1e}" if value < 0.01 else f"{value:.2f}"
