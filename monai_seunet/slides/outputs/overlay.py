"""Picture of a slide with the outlines of its nuclei."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from monai_seunet.drawing.overlay import CONTOUR_RGB
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import PixelGrid, SlideGeometry
from monai_seunet.writers.raster import write_raster

LARGEST = 4096  # longest side in working pixels of a picture with outlines


def write_overlay(
    path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry, view: SlideView, thumbnail: np.ndarray
) -> Path:
    """Write the working pixels with the outlines of the nuclei as PNG.

    Limits: a slide with a side of more than 4096 working pixels becomes a thumbnail with a dot for every nucleus.

    Args:
        path: path with the ending .png.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
        view: input of the network.
        thumbnail: picture (h, w, 3) uint8 of the whole slide.
    """
    if max(geometry.size) <= LARGEST:
        pixels = view.in_colour().read(0, 0, *geometry.size)
        return write_raster(path, draw_outlines(pixels, blocks), geometry.working_mpp)
    picture = view.part_of_picture(thumbnail).copy()
    for objects in blocks:
        places = objects.centroids * picture.shape[:2] / geometry.size
        rows, columns = np.minimum(places.astype(int), np.array(picture.shape[:2]) - 1).T
        picture[rows, columns] = np.array(CONTOUR_RGB, np.uint8)[(objects.classes - 1) % len(CONTOUR_RGB)]
    return write_raster(path, picture)


def picture_of(
    view: SlideView, geometry: SlideGeometry, thumbnail: Callable[[], np.ndarray]
) -> tuple[np.ndarray, PixelGrid]:
    """Return the working pixels (h, w, 3) uint8 and their place; or a thumbnail of the whole slide if they are many.

    Args:
        view: input of the network.
        geometry: geometry of the slide.
        thumbnail: function that returns a picture of the whole slide.
    """
    if max(geometry.size) <= LARGEST:
        return view.in_colour().read(0, 0, *geometry.size), geometry.network_grid
    picture = thumbnail()
    return picture, geometry.overview_grid(picture.shape[:2])


def draw_outlines(
    pixels: np.ndarray, blocks: Iterable[Objects], corner: tuple[int, int] = (0, 0), enlarged: int = 1
) -> np.ndarray:
    """Draw the outlines of the nuclei in the colours of their classes, (h, w, 3) uint8.

    Args:
        pixels: working pixels (h, w, 3) uint8.
        blocks: nuclei of the slide.
        corner: first pixel (y, x) of `pixels` in working pixels.
        enlarged: factor by which the picture is enlarged before.
    """
    from PIL import Image, ImageDraw

    (y, x), (height, width) = corner, pixels.shape[:2]
    picture = Image.fromarray(pixels).resize((enlarged * width, enlarged * height))
    draw = ImageDraw.Draw(picture)
    for objects in blocks:
        y0, x0, y1, x1 = objects.boxes.T
        for k in np.flatnonzero((y0 < y + height) & (y1 > y) & (x0 < x + width) & (x1 > x)):
            points = (objects.contours[k][:, ::-1] - (x, y)) * enlarged
            colour = CONTOUR_RGB[(int(objects.classes[k]) - 1) % len(CONTOUR_RGB)]
            draw.line([tuple(point) for point in [*points.tolist(), points[0].tolist()]], fill=colour, width=2)
    return np.asarray(picture)
