"""Annotations of the Digital Slide Archive and HistomicsTK."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ellipse, ring
from monai_seunet.reading.annotations.json_values import member
from monai_seunet.utils.errors import InputError

FORMAT = "JSON of the Digital Slide Archive"
NO_OUTLINES = {"polyline": "line", "point": "point", "arrow": "arrow"}


def is_dsa(content: Any) -> bool:
    """Whether parsed JSON is an annotation, or what the archive's interface makes of one or several."""
    content = content[0] if isinstance(content, list) and content else content
    return isinstance(content, dict) and (
        isinstance(content.get("elements"), list) or isinstance(content.get("annotation"), dict)
    )


def dsa_annotations(content: Any, where: str) -> AnnotationFile:
    """Make annotations of the elements of a file: closed polylines, rectangles, ellipses and circles.

    The name is that of the group, or the label where there is none.

    Args:
        content: an annotation, or several.
        where: what messages call the file.

    Raises:
        InputError: for elements that are not in the archive's form, and points that are no pixels.

    References:
        https://github.com/girder/large_image: girder_annotation/docs/annotations.rst.
    """
    annotations, skipped, number = [], Counter[str](), 0
    for document in content if isinstance(content, list) else [content]:
        document = member(document, "annotation", dict, where, document)
        for element in member(document, "elements", list, where, []):
            number += 1
            told = f"{where}: element {number}"
            kind = member(element, "type", str, told, "")
            part = _part(element, kind, told)
            if part is None:
                skipped[NO_OUTLINES.get(kind, f"{kind} element".strip())] += 1
                continue
            label = element.get("label")
            name = element.get("group") or (label.get("value") if isinstance(label, dict) else "")
            layer = member(document, "name", str, where, "")
            annotations.append(Annotation((part,), name.strip() if isinstance(name, str) else "", layer))
    return AnnotationFile(FORMAT, annotations, skipped)


def _part(element: dict[str, Any], kind: str, where: str) -> Part | None:
    """The area of an element; None for one without."""
    if kind == "polyline":
        holes = member(element, "holes", list, where, [])
        if not all(isinstance(hole, list) for hole in holes):
            raise InputError(f"{where}: 'holes' must be lists of points; export the file again")
        outer = ring(member(element, "points", list, where, []), where)
        return Part(outer, tuple(ring(hole, where) for hole in holes)) if element.get("closed") else None
    if kind not in ("rectangle", "ellipse", "circle"):
        return None
    centre = ring([member(element, "center", list, where, [])], where)[0]
    keys = ("radius", "radius") if kind == "circle" else ("width", "height")
    sides = ring([[element.get(key) for key in keys]], where)[0]
    angle = element.get("rotation") or 0.0
    if not isinstance(angle, int | float) or not math.isfinite(angle):
        raise InputError(f"{where}: 'rotation' is no number; export the file again")
    if kind == "circle":
        return Part(ellipse(centre, sides))
    if kind == "ellipse":
        return Part(ellipse(centre, sides / 2, angle))
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * sides / 2
    sine, cosine = math.sin(angle), math.cos(angle)
    return Part(centre + corners @ np.array([(cosine, sine), (-sine, cosine)]))
