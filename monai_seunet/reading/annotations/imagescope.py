"""Regions of Aperio ImageScope, whose form MoNuSeg has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, box, ellipse, ring
from monai_seunet.reading.annotations.xml_shapes import Layer, Shape

if TYPE_CHECKING:
    import shapely

FORMAT = "ImageScope XML"
OUTLINE, RECTANGLE, ELLIPSE = "0", "1", "2"
# Centres of pixels lie at whole numbers here: so the published masks of MoNuSeg come out best (mean Dice 0.992; with
# edges at whole numbers 0.967).
CENTRE = 0.0
NO_OUTLINES = {"3": "arrow", "4": "ruler", "5": "counter"}


def imagescope_annotations(regions: Sequence[Shape], where: str) -> AnnotationFile:
    """Make annotations of the regions of a file.

    A negative region is a hole in the regions of its layer that it lies in by more than half. The name is that of the
    layer, or its description, or the text of the region.

    Args:
        regions: as they were read.
        where: what messages call the file.

    Raises:
        InputError: for points that are no pixels.
    """
    skipped: Counter[str] = Counter()
    found: list[tuple[Layer, Annotation]] = []
    negative: list[tuple[Layer, np.ndarray]] = []
    for number, region in enumerate(regions, 1):
        kind = region.attributes.get("type", "").strip() or OUTLINE
        if kind not in (OUTLINE, RECTANGLE, ELLIPSE):
            skipped[NO_OUTLINES.get(kind, f"type {kind} region")] += 1
            continue
        outline = _outline(kind, ring(region.points, f"{where}: region {number}"))
        if region.attributes.get("negativeroa", "").strip().lower() not in ("", "0", "false"):
            negative.append((region.layer, outline))
            continue
        layer = region.layer.attributes.get("name") or region.layer.description
        name = layer or region.attributes.get("text", "")
        layer = layer or region.layer.attributes.get("id", "")
        found.append((region.layer, Annotation((Part(outline),), name.strip(), layer.strip(), centre=CENTRE)))
    annotations, stray = _cut(found, negative)
    if stray:
        skipped["stray negative region"] = stray
    return AnnotationFile(FORMAT, annotations, skipped)


def _outline(kind: str, points: np.ndarray) -> np.ndarray:
    """Rectangles of two corners and ellipses by the box around them become points on their outline."""
    if kind == OUTLINE or not 2 <= len(points) <= 4 or (kind == RECTANGLE and len(points) > 2):
        return points
    least, most = points.min(axis=0), points.max(axis=0)
    return box(points) if kind == RECTANGLE else ellipse((least + most) / 2, (most - least) / 2)


def _cut(
    found: Sequence[tuple[Layer, Annotation]], negative: Sequence[tuple[Layer, np.ndarray]]
) -> tuple[list[Annotation], int]:
    """Put holes into the annotations; returns how many lie in none."""
    annotations = [annotation for _, annotation in found]
    if not negative:
        return annotations, 0
    import shapely

    areas = [_area(annotation.parts[0].outer) for annotation in annotations]
    tree, stray = shapely.STRtree(areas), 0
    for layer, outline in negative:
        hole = _area(outline)
        cut = [
            index
            for index in sorted(tree.query(hole))
            if found[index][0] is layer and 2 * areas[index].intersection(hole).area > hole.area
        ]
        for index in cut:
            outer, holes = annotations[index].parts[0]
            old = annotations[index]
            annotations[index] = replace(old, parts=(Part(outer, (*holes, outline)),))
        stray += not cut
    return annotations, stray


def _area(outline: np.ndarray) -> shapely.Geometry:
    """The area within an outline, whose line may cross itself."""
    import shapely

    return shapely.make_valid(shapely.Polygon(outline)) if len(outline) > 2 else shapely.Polygon()
