"""The pixels within annotations."""

from __future__ import annotations

import numpy as np
from skimage.draw import polygon as fill_polygon

from monai_seunet.reading.annotations.annotation import Annotation, Part


def pixels_of(
    annotation: Annotation, size: tuple[int, int], corner: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels whose centres lie in an annotation, on its line included; none for a line.

    Invariant: the pixels of all parts together; those of a part are the ones in its outline and in none of its holes.

    Args:
        annotation: an object or a region.
        size: rows and columns of the image, or of a part of it.
        corner: (y, x) of its first pixel in the image.
    """
    if annotation.mask is not None:
        rows, columns = annotation.mask.pixels()
        rows, columns = rows - corner[0], columns - corner[1]
        within = (rows >= 0) & (columns >= 0) & (rows < size[0]) & (columns < size[1])
        return rows[within], columns[within]
    origin = (corner[0] + annotation.centre, corner[1] + annotation.centre)  # of scikit-image, whose centres are whole
    if len(annotation.parts) == 1 and not annotation.parts[0].holes:
        return _fill(annotation.parts[0].outer, size, origin)
    places = [_places(part, size, origin) for part in annotation.parts]
    rows, columns = np.unravel_index(np.unique(np.concatenate([np.zeros(0, dtype=int), *places])), size)
    return rows, columns


def bounds_of(annotation: Annotation) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest (x, y) of an annotation; infinite and the wrong way round for one without a point."""
    if annotation.mask is not None:
        rows, columns = annotation.mask.pixels()
        points = np.stack([columns, rows], axis=1).astype(np.float64)
        least, most = points, points + 1
    else:
        least = most = np.concatenate([np.zeros((0, 2)), *(part.outer for part in annotation.parts)])
    return least.min(axis=0, initial=np.inf), most.max(axis=0, initial=-np.inf)


def _places(part: Part, size: tuple[int, int], origin: tuple[float, float]) -> np.ndarray:
    """The pixels of a part, numbered row by row."""
    places = np.ravel_multi_index(_fill(part.outer, size, origin), size)
    for hole in part.holes:
        places = np.setdiff1d(places, np.ravel_multi_index(_fill(hole, size, origin), size))
    return places


def _fill(outline: np.ndarray, size: tuple[int, int], origin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    if len(outline) < 3:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    return fill_polygon(outline[:, 1] - origin[0], outline[:, 0] - origin[1], shape=size)
