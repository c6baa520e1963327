"""Close-ups of a slide at the working resolution, with the outlines of the nuclei."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.overlay import draw_outlines
from monai_seunet.slides.outputs.summary.tally import Tally

SIDE = 512  # side of a close-up in working pixels
ENLARGED = 2  # factor of the enlargement, so outlines do not hide nuclei

Read = Callable[[int, int, int, int], np.ndarray]


def choose_places(tally: Tally, geometry: SlideGeometry) -> dict[str, tuple[int, int]]:
    """Return corners (y, x) in working pixels of the close-up with most nuclei, and of another with the median number.

    The two do not overlap. The second is left out if no other place has nuclei.

    Args:
        tally: counts of a slide with nuclei.
        geometry: geometry of the slide.
    """
    from scipy.ndimage import uniform_filter

    nuclei = tally.classes.sum(axis=0)
    counts = uniform_filter(nuclei.astype(np.float64), max(1, round(SIDE / tally.cell)), mode="constant")
    y, x = (
        np.clip((np.arange(cells) + 0.5) * tally.cell - SIDE / 2, 0, max(length - SIDE, 0)).astype(int)
        for cells, length in zip(counts.shape, geometry.size, strict=True)
    )
    most = np.unravel_index(counts.argmax(), counts.shape)
    elsewhere = np.maximum(abs(y - y[most[0]])[:, None], abs(x - x[most[1]])) >= SIDE
    distance = np.where((nuclei > 0) & elsewhere, np.abs(counts - np.median(counts[nuclei > 0])), np.inf)
    usual = np.unravel_index(distance.argmin(), counts.shape)
    places = {"Most nuclei": most} | ({} if np.isinf(distance[usual]) else {"As many nuclei as usual": usual})
    return {name: (int(y[row]), int(x[column])) for name, (row, column) in places.items()}


def draw_place(read: Read, blocks: Iterable[Objects], geometry: SlideGeometry, corner: tuple[int, int]) -> np.ndarray:
    """Draw a close-up with the outlines of the nuclei in the colours of their classes, (h, w, 3) uint8.

    Args:
        read: function of y, x, height and width in working pixels that returns RGB pixels (height, width, 3) uint8.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
        corner: first pixel (y, x) of the close-up in working pixels.
    """
    y, x = corner
    height, width = min(SIDE, geometry.size[0] - y), min(SIDE, geometry.size[1] - x)
    return draw_outlines(read(y, x, height, width), blocks, corner, ENLARGED)
