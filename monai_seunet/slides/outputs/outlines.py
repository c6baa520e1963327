"""Outlines of nuclei in pixels of the slide."""

from __future__ import annotations

import numpy as np

from monai_seunet.slides.objects import Objects
from monai_seunet.slides.outputs.frame import SlideFrame

_POLYGON = 3  # type of geometry in shapely


def outlines(objects: Objects, frame: SlideFrame, tolerance: float = 0.0) -> np.ndarray:
    """Polygons (K,) of shapely in base pixels (x, y), valid and counter-clockwise, rounded to 0.01.

    Args:
        objects: K nuclei.
        frame: of the slide.
        tolerance: how far an outline may move when it is simplified, in working pixels; 0 leaves out points on straight
            lines only.
    """
    import shapely

    if not len(objects):
        return np.zeros(0, object)
    owner = np.repeat(np.arange(len(objects)), [len(contour) for contour in objects.contours])
    rings = shapely.linearrings(np.concatenate(objects.contours)[:, ::-1].astype(np.float64), indices=owner)
    simple = _simplified(shapely.polygons(rings), tolerance)
    return shapely.transform(simple, lambda points: np.round(frame.to_base(points[:, ::-1])[:, ::-1], 2))


def _simplified(polygons: np.ndarray, tolerance: float) -> np.ndarray:
    """The same shapes of fewer points, all still valid polygons; tolerance 0 leaves out points on straight lines."""
    import shapely

    quick = shapely.simplify(polygons, tolerance, preserve_topology=False)
    broken = ~shapely.is_valid(quick) | shapely.is_empty(quick) | (shapely.get_type_id(quick) != _POLYGON)
    quick[broken] = shapely.simplify(polygons[broken], tolerance, preserve_topology=True)  # far slower
    return quick
