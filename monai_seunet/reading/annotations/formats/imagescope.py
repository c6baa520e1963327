"""Annotations of Aperio ImageScope, whose format MoNuSeg uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, box, ellipse, ring
from monai_seunet.reading.annotations.formats.xml_shapes import Layer, Shape

if TYPE_CHECKING:
    import shapely

FORMAT = "ImageScope XML"
OUTLINE, RECTANGLE, ELLIPSE = "0", "1", "2"
# The centres of pixels are whole numbers in this format: this reproduces the published masks of MoNuSeg best (mean Dice
# 0.992, against 0.967 with edges at whole numbers).
CENTRE = 0.0
NO_OUTLINES = {"3": "arrow", "4": "ruler", "5": "counter"}


def imagescope_annotations(regions: Sequence[Shape], where: str) -> AnnotationFile:
    """Convert the `Region` elements of a file, with their points, to annotations.

    A negative region is a hole in every region of its layer that contains more than half of it. The name is that of the
    layer, or its description, or the text of the region.
    """
    skipped: Counter[str] = Counter()
    positive: list[tuple[Layer, Annotation]] = []
    negative: list[tuple[Layer, np.ndarray]] = []
    for number, region in enumerate(regions, 1):
        shape = region.attributes.get("type", "").strip() or OUTLINE
        if shape not in (OUTLINE, RECTANGLE, ELLIPSE):
            skipped[NO_OUTLINES.get(shape, f"type {shape} region")] += 1
            continue
        outline = _outline(shape, ring(region.points, f"{where}: region {number}"))
        if region.attributes.get("negativeroa", "").strip().lower() not in ("", "0", "false"):
            negative.append((region.layer, outline))
            continue
        layer = region.layer.attributes.get("name") or region.layer.description
        name = layer or region.attributes.get("text", "")
        layer = layer or region.layer.attributes.get("id", "")
        positive.append((region.layer, Annotation((Part(outline),), name.strip(), layer.strip(), centre=CENTRE)))
    annotations, stray = _cut(positive, negative)
    if stray:
        skipped["stray negative region"] = stray
    return AnnotationFile(FORMAT, annotations, skipped)


def _outline(shape: str, points: np.ndarray) -> np.ndarray:
    """Convert two corners of a rectangle, or the bounding box of an ellipse, to points on the outline."""
    if shape == OUTLINE or not 2 <= len(points) <= 4 or (shape == RECTANGLE and len(points) > 2):
        return points
    least, most = points.min(axis=0), points.max(axis=0)
    return box(points) if shape == RECTANGLE else ellipse((least + most) / 2, (most - least) / 2)


def _cut(
    positive: Sequence[tuple[Layer, Annotation]], negative: Sequence[tuple[Layer, np.ndarray]]
) -> tuple[list[Annotation], int]:
    """Add the negative regions as holes; return the annotations and the number of negative regions outside of them."""
    annotations = [annotation for _, annotation in positive]
    if not negative:
        return annotations, 0
    import shapely

    areas = [_area(annotation.parts[0].outer) for annotation in annotations]
    tree, stray = shapely.STRtree(areas), 0
    for layer, outline in negative:
        hole = _area(outline)
        indices = [
            index
            for index in sorted(tree.query(hole))
            if positive[index][0] is layer and 2 * areas[index].intersection(hole).area > hole.area
        ]
        for index in indices:
            outer, holes = annotations[index].parts[0]
            annotations[index] = replace(annotations[index], parts=(Part(outer, (*holes, outline)),))
        stray += not indices
    return annotations, stray


def _area(outline: np.ndarray) -> shapely.Geometry:
    """Return the area inside an outline, which may intersect itself."""
    import shapely

    return shapely.make_valid(shapely.Polygon(outline)) if len(outline) > 2 else shapely.Polygon()
