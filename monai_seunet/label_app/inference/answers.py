"""Answers to clients: masks of nuclei, or outlines as JSON."""

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

MAX_PIXELS = 2**26  # limit for a mask


def write_mask(path: Path, blocks: Sequence[Objects], geometry: SlideGeometry, region: Sequence[int] | None) -> Path:
    """Write a mask of class numbers for an image or a region of it.

    Args:
        path: file to write; its suffix selects the format.
        blocks: nuclei.
        geometry: geometry of the slide.
        region: x, y, width and height in pixels of the image; pixels outside the image are background.

    Raises:
        InputError: for a mask of more than 64 million pixels.
    """
    x, y, width, height = region or (0, 0, *geometry.base_size[::-1])
    if width * height > MAX_PIXELS:
        raise InputError(f"a mask of {width} x {height} pixels is too large; ask for a region or for outlines")
    grid = PixelGrid((height, width), (y, x), (1.0, 1.0), geometry.mpp)
    labels = LabelRows(blocks, geometry, grid).read(0, height)
    classes = np.concatenate([np.zeros(1, np.uint8), *(objects.classes.astype(np.uint8) for objects in blocks)])
    return write_raster(path, classes[labels], grid.mpp, grid.position)


def as_annotations(
    blocks: Sequence[Objects], geometry: SlideGeometry, region: Sequence[int] | None
) -> list[dict[str, Any]]:
    """Return outlines in the JSON form of MONAI Label's clients, such as the plugin for CVAT; see `write_mask`."""
    x, y, width, height = region or (0, 0, *geometry.base_size[::-1])
    contours: dict[str, list[list[list[float]]]] = {name: [] for name in geometry.classes}
    for objects in blocks:
        for polygon, class_number in zip(outlines(objects, geometry), objects.classes.tolist(), strict=True):
            contours[geometry.classes[class_number - 1]].append([list(point) for point in polygon.exterior.coords[:-1]])
    elements = [{"label": name, "contours": outline} for name, outline in contours.items() if outline]
    colours = {name: CONTOUR_RGB[k % len(CONTOUR_RGB)] for k, name in enumerate(geometry.classes)}
    return [{"annotation": {"location": [x, y], "size": [width, height], "elements": elements, "labels": colours}}]
