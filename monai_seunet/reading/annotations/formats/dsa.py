"""Annotations of the Digital Slide Archive and HistomicsTK."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ellipse, ring
from monai_seunet.reading.annotations.formats.json_values import member
from monai_seunet.utils.errors import InputError

FORMAT = "JSON of the Digital Slide Archive"
NO_OUTLINES = {"polyline": "line", "point": "point", "arrow": "arrow"}


def is_dsa(content: Any) -> bool:
    """Return whether parsed JSON is one annotation of the archive, or a response of its API with one or several."""
    content = content[0] if isinstance(content, list) and content else content
    if not isinstance(content, dict):
        return False
    return isinstance(content.get("elements"), list) or isinstance(content.get("annotation"), dict)


def dsa_annotations(content: Any, where: str) -> AnnotationFile:
    """Convert the elements of one or several annotations in JSON: closed polylines, rectangles, ellipses and circles.

    The name is that of the group, or the label without a group.

    References:
        https://github.com/girder/large_image: girder_annotation/docs/annotations.rst.
    """
    annotations, skipped, number = [], Counter[str](), 0
    for document in content if isinstance(content, list) else [content]:
        document = member(document, "annotation", dict, where, document)
        for element in member(document, "elements", list, where, []):
            number += 1
            where_element = f"{where}: element {number}"
            shape = member(element, "type", str, where_element, "")
            part = _part(element, shape, where_element)
            if part is None:
                skipped[NO_OUTLINES.get(shape, f"{shape} element".strip())] += 1
                continue
            label = element.get("label")
            name = element.get("group") or (label.get("value") if isinstance(label, dict) else "")
            layer = member(document, "name", str, where, "")
            annotations.append(Annotation((part,), name.strip() if isinstance(name, str) else "", layer))
    return AnnotationFile(FORMAT, annotations, skipped)


def _part(element: dict[str, Any], shape: str, where: str) -> Part | None:
    """Return the area of an element, or None for a shape without area."""
    if shape == "polyline":
        holes = member(element, "holes", list, where, [])
        if not all(isinstance(hole, list) for hole in holes):
            raise InputError(f"{where}: 'holes' must be lists of points; export the file again")
        outer = ring(member(element, "points", list, where, []), where)
        return Part(outer, tuple(ring(hole, where) for hole in holes)) if element.get("closed") else None
    if shape not in ("rectangle", "ellipse", "circle"):
        return None
    centre = ring([member(element, "center", list, where, [])], where)[0]
    keys = ("radius", "radius") if shape == "circle" else ("width", "height")
    sides = ring([[element.get(key) for key in keys]], where)[0]
    angle = element.get("rotation") or 0.0
    if not isinstance(angle, int | float) or not math.isfinite(angle):
        raise InputError(f"{where}: 'rotation' is no number; export the file again")
    if shape == "circle":
        return Part(ellipse(centre, sides))
    if shape == "ellipse":
        return Part(ellipse(centre, sides / 2, angle))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * sides / 2
    sine, cosine = math.sin(angle), math.cos(angle)
    return Part(centre + corners @ np.array([(cosine, sine), (-sine, cosine)]))
