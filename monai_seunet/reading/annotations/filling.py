"""Rasterisation of annotations."""

from __future__ import annotations

import numpy as np
from skimage.draw import polygon as fill_polygon

from monai_seunet.reading.annotations.annotation import Annotation, Part


def pixels_of(
    annotation: Annotation, size: tuple[int, int], corner: tuple[int, int] = (0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns of the pixels whose centres lie inside an annotation or on its outline.

    Invariant: a pixel belongs to an annotation if it lies in the outline of a part and in none of its holes.

    Args:
        annotation: object or region.
        size: rows and columns of the image or of a crop.
        corner: (y, x) of the first pixel of the crop in the image.

    >>> square = np.array([(0, 0), (2, 0), (2, 2), (0, 2)])
    >>> pixels_of(Annotation((Part(square),)), size=(4, 4))
    (array([0, 0, 1, 1]), array([0, 1, 0, 1]))
    """
    if annotation.mask is not None:
        rows, columns = annotation.mask.pixels()
        rows, columns = rows - corner[0], columns - corner[1]
        within = (rows >= 0) & (columns >= 0) & (rows < size[0]) & (columns < size[1])
        return rows[within], columns[within]
    # scikit-image places the centres of pixels at whole numbers
    origin = (corner[0] + annotation.centre, corner[1] + annotation.centre)
    if len(annotation.parts) == 1 and not annotation.parts[0].holes:
        return _fill(annotation.parts[0].outer, size, origin)
    indices = [_flat_indices(part, size, origin) for part in annotation.parts]
    rows, columns = np.unravel_index(np.unique(np.concatenate([np.zeros(0, dtype=int), *indices])), size)
    return rows, columns


def bounds_of(annotation: Annotation) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and largest (x, y) of an annotation; (inf, -inf) for one without a point."""
    if annotation.mask is not None:
        rows, columns = annotation.mask.pixels()
        points = np.stack([columns, rows], axis=1).astype(np.float64)
        least, most = points, points + 1
    else:
        least = most = np.concatenate([np.zeros((0, 2)), *(part.outer for part in annotation.parts)])
    return least.min(axis=0, initial=np.inf), most.max(axis=0, initial=-np.inf)


def _flat_indices(part: Part, size: tuple[int, int], origin: tuple[float, float]) -> np.ndarray:
    """Return the indices of the pixels of a part in the flattened image."""
    indices = np.ravel_multi_index(_fill(part.outer, size, origin), size)
    for hole in part.holes:
        indices = np.setdiff1d(indices, np.ravel_multi_index(_fill(hole, size, origin), size))
    return indices


def _fill(outline: np.ndarray, size: tuple[int, int], origin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    if len(outline) < 3:
        return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
    return fill_polygon(outline[:, 1] - origin[0], outline[:, 0] - origin[1], shape=size)
