"""From nuclei to what a client reads: a mask, or outlines as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.drawing.overlay import CONTOUR_RGB
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import outlines
from monai_seunet.slides.outputs.geometry import PixelGrid, SlideGeometry
from monai_seunet.slides.outputs.labels import LabelRows
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster

MAX_PIXELS = 2**26  # of a mask


def write_mask(path: Path, blocks: Sequence[Objects], geometry: SlideGeometry, region: Sequence[int] | None) -> Path:
    """Write class numbers for every pixel of an image or a region of it.

    Args:
        path: its suffix says the format.
        blocks: nuclei.
        geometry: of the slide.
        region: x, y, width and height in pixels of the image; what lies outside the image is background.

    Raises:
        InputError: for more than 64 million pixels.
    """
    x, y, width, height = region or (0, 0, *geometry.base_size[::-1])
    if width * height > MAX_PIXELS:
        raise InputError(f"a mask of {width} x {height} pixels is too large; ask for a region, or for outlines")
    grid = PixelGrid((height, width), (y, x), (1.0, 1.0), geometry.mpp)
    labels = LabelRows(blocks, geometry, grid).read(0, height)
    classes = np.concatenate([np.zeros(1, np.uint8), *(objects.classes.astype(np.uint8) for objects in blocks)])
    return write_raster(path, classes[labels], grid.mpp, grid.position)


def as_annotations(
    blocks: Sequence[Objects], geometry: SlideGeometry, region: Sequence[int] | None
) -> list[dict[str, Any]]:
    """Outlines as MONAI Label's clients for JSON read them, such as that for CVAT.

    Args:
        blocks: nuclei.
        geometry: of the slide.
        region: x, y, width and height in pixels of the image.
    """
    x, y, width, height = region or (0, 0, *geometry.base_size[::-1])
    contours: dict[str, list[list[list[float]]]] = {name: [] for name in geometry.classes}
    for objects in blocks:
        for polygon, kind in zip(outlines(objects, geometry), objects.classes.tolist(), strict=True):
            contours[geometry.classes[kind - 1]].append([list(point) for point in polygon.exterior.coords[:-1]])
    elements = [{"label": name, "contours": found} for name, found in contours.items() if found]
    colours = {name: CONTOUR_RGB[k % len(CONTOUR_RGB)] for k, name in enumerate(geometry.classes)}
    return [{"annotation": {"location": [x, y], "size": [width, height], "elements": elements, "labels": colours}}]
