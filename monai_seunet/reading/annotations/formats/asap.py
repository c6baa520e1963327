"""Annotations of ASAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, box, ring
from monai_seunet.reading.annotations.formats.xml_shapes import Shape

FORMAT = "ASAP XML"
OUTLINES = ("polygon", "spline", "rectangle")
NO_OUTLINES = {"dot": "point", "pointset": "point set", "measurement": "measurement"}


def asap_annotations(shapes: Sequence[Shape], where: str) -> AnnotationFile:
    """Convert the `Annotation` elements of a file, with their points, to annotations.

    The attribute `Order` sorts the points. The name is that of the group, or that of the annotation without a group.
    Limits: a spline becomes the polygon through its points.
    """
    skipped: Counter[str] = Counter()
    annotations = []
    for number, shape in enumerate(shapes, 1):
        kind = shape.attributes.get("type", "").strip() or "polygon"
        if kind.lower() not in OUTLINES:
            skipped[NO_OUTLINES.get(kind.lower(), f"{kind} annotation")] += 1
            continue
        outline = ring(shape.points, f"{where}: annotation {number}")
        if len(shape.orders) == len(outline):
            outline = outline[np.argsort(shape.orders, kind="stable")]
        if kind.lower() == "rectangle" and len(outline) == 2:
            outline = box(outline)
        group = shape.attributes.get("partofgroup", "").strip()
        group = "" if group.lower() == "none" else group
        name = group or shape.attributes.get("name", "").strip()
        annotations.append(Annotation((Part(outline),), name, group))
    return AnnotationFile(FORMAT, annotations, skipped)
