"""Pictures for the summary of a slide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, rgb
from monai_seunet.drawing.style import BLUE, GREEN, clean_axes, head_colours, new_figure
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.tally import Tally

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SHOWN_BARS = 60


def draw_tissue(thumbnail: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """Draw the outline of the tissue (h', w') bool on the thumbnail (h, w, 3) uint8 of the same area."""
    from scipy.ndimage import binary_dilation
    from skimage.segmentation import find_boundaries

    sizes = zip(thumbnail.shape[:2], tissue.shape, strict=True)
    mask = tissue[np.ix_(*(np.arange(length) * cells // length for length, cells in sizes))]
    drawn = thumbnail.copy()
    drawn[binary_dilation(find_boundaries(mask, mode="inner"))] = rgb(GREEN)
    return drawn


def draw_density(thumbnail: np.ndarray, tally: Tally, geometry: SlideGeometry) -> Figure:
    """Draw nuclei per mm², or per cell if the µm are not known, on the thumbnail in grey."""
    counts = tally.classes.sum(axis=0).astype(float)
    label = "nuclei in a cell of the map"
    if geometry.working_mpp is not None:
        counts *= 1e6 / (tally.cell**2 * geometry.working_mpp[0] * geometry.working_mpp[1])
        label = "nuclei per mm²"
    most = np.quantile(counts[counts > 0], 0.99) if counts.any() else 1  # a few crowded cells must not hide others
    figure, image = _draw_map(thumbnail, tally, geometry, np.ma.masked_equal(counts, 0), "YlOrRd", (0, most))
    bar = figure.colorbar(image, ax=image.axes, fraction=0.04, pad=0.01, extend="max")
    bar.set_label(label, fontsize=15)
    bar.ax.tick_params(labelsize=14)
    return figure


def draw_groups(thumbnail: np.ndarray, tally: Tally, geometry: SlideGeometry) -> Figure:
    """Draw the scale group that won most nuclei of each cell, on the thumbnail in grey."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    winners = np.ma.masked_where(tally.groups.sum(axis=0) == 0, tally.groups.argmax(axis=0))
    colours = head_colours(len(geometry.sigmas))
    limits = (-0.5, len(colours) - 0.5)
    figure, _ = _draw_map(thumbnail, tally, geometry, winners, ListedColormap(colours), limits)
    patches = [Patch(color=c, label=name) for c, name in zip(colours, group_names(geometry), strict=True)]
    figure.legend(handles=patches, fontsize=15, frameon=False, loc="outside right center")
    return figure


def draw_areas(tally: Tally, geometry: SlideGeometry) -> Figure:
    """Draw a histogram of areas; the last bar includes all larger areas."""
    figure = new_figure(5.2, 2.6)
    axes = figure.subplots()
    shown = max(SHOWN_BARS, int(tally.area_quantile(0.995) / tally.bin_width) + 1) if tally.count else SHOWN_BARS
    step = -(-shown // SHOWN_BARS)
    bars = np.zeros(SHOWN_BARS, np.int64)
    np.add.at(bars, np.minimum(np.arange(len(tally.areas)) // step, SHOWN_BARS - 1), tally.areas)
    wide = step * tally.bin_width
    axes.bar(np.arange(SHOWN_BARS) * wide, bars, width=wide, align="edge", color=BLUE)
    axes.set_xlim(0, SHOWN_BARS * wide)
    axes.set_xlabel(
        f"area, {'µm²' if geometry.mpp is not None else 'pixels of the image'} (last bar: and more)", fontsize=9
    )
    axes.set_ylabel("nuclei", fontsize=9)
    clean_axes(axes)
    return figure


def draw_shares(tally: Tally, geometry: SlideGeometry) -> Figure:
    """Draw the number of nuclei of each scale group, or of each class for a network without groups."""
    figure = new_figure(5.2, 2.6)
    axes = figure.subplots()
    if geometry.sigmas:
        counts = tally.groups.sum(axis=(1, 2))
        names = [name.replace(": ", "\n") for name in group_names(geometry)]  # six names must fit side by side
        colours = head_colours(len(names))
        axes.set_xlabel("winning scale group", fontsize=9)
    else:
        counts, names = tally.classes.sum(axis=(1, 2)), list(geometry.classes)
        colours = [CONTOUR_COLOURS[k % len(CONTOUR_COLOURS)] for k in range(len(names))]
    axes.bar(range(len(names)), counts, color=colours)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_ylabel("nuclei", fontsize=9)
    clean_axes(axes)
    return figure


def group_names(geometry: SlideGeometry) -> list[str]:
    """Return the number and sigma of each scale group as text."""
    if geometry.working_mpp is None:
        return [f"{k}: σ {sigma:.2g} px" for k, sigma in enumerate(geometry.sigmas, start=1)]
    mpp = float(np.mean(geometry.working_mpp))
    return [f"{k}: σ {sigma * mpp:.2g} µm" for k, sigma in enumerate(geometry.sigmas, start=1)]


def _draw_map(
    thumbnail: np.ndarray,
    tally: Tally,
    geometry: SlideGeometry,
    values: np.ndarray,
    cmap: Any,
    limits: tuple[float, float],
) -> tuple[Figure, AxesImage]:
    """Draw the values of the cells on the thumbnail in pale grey; the last cells may end outside it."""
    height, width = thumbnail.shape[:2]
    long = 6.4 / max(height, width)
    figure = new_figure(max(1.5, width * long) + 2.2, max(1.5, height * long))  # room for the legend
    axes = figure.subplots()
    grey = 255 - (255 - thumbnail.astype(np.float32).mean(axis=2)) * 0.6
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    rows, columns = values.shape
    right, bottom = columns * tally.cell / geometry.size[1] * width, rows * tally.cell / geometry.size[0] * height
    options: dict[str, Any] = {"alpha": 0.75, "interpolation": "nearest", "vmin": limits[0], "vmax": limits[1]}
    return figure, axes.imshow(values, cmap, extent=(-0.5, right - 0.5, bottom - 0.5, -0.5), **options)
