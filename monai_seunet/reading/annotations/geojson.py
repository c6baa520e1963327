"""Objects of QuPath, and GeoJSON of others."""

from __future__ import annotations

from collections import Counter
from typing import Any

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ring
from monai_seunet.reading.annotations.json_values import member
from monai_seunet.utils.errors import InputError

FORMAT = "GeoJSON"
NO_OUTLINES = {"Point": "point", "MultiPoint": "point set", "LineString": "line", "MultiLineString": "line"}
GEOMETRIES = {"Polygon", "MultiPolygon", "GeometryCollection", *NO_OUTLINES}
TYPES = {"FeatureCollection", "Feature", *GEOMETRIES}


def geojson_annotations(content: Any, where: str) -> AnnotationFile:
    """Make annotations of the features of a file.

    Of a cell with a nucleus the nucleus is taken. The name is that of the classification, or the feature's own where it
    has none.
    Limits: planes, channels and times are not looked at.

    Args:
        content: a collection of features, a list of them, a single one, or a geometry.
        where: what messages call the file.

    Raises:
        InputError: for features that are not in the form of the standard, and points that are no pixels.

    References:
        RFC 7946; qupath/qupath, `PathObjectTypeAdapters.java`.
    """
    features = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        features = member(content, "features", list, where, [])
    nuclei = any(isinstance(feature, dict) and feature.get("nucleusGeometry") for feature in features)
    annotations, skipped = [], Counter[str]()
    for number, feature in enumerate(features, 1):
        told = f"{where}: feature {number}"
        kind = member(feature, "type", str, told)
        if kind in GEOMETRIES:
            feature = {"type": "Feature", "geometry": feature}
        elif kind != "Feature":
            raise InputError(f"{told}: its type is {kind!r}, but 'Feature' is expected; export it again")
        properties = member(feature, "properties", dict, told, {})
        layer = properties.get("objectType")
        geometry = member(feature, "nucleusGeometry", dict, told)
        if geometry is None and layer == "cell" and nuclei:
            skipped["nucleus-free cell"] += 1
            continue
        parts, others = _parts(geometry or member(feature, "geometry", dict, told), told)
        skipped += others
        if parts:
            annotations.append(Annotation(tuple(parts), _name(properties), layer if isinstance(layer, str) else ""))
        elif not others:
            skipped["empty feature"] += 1
    return AnnotationFile(FORMAT, annotations, skipped)


def _parts(geometry: dict[str, Any] | None, where: str) -> tuple[list[Part], Counter[str]]:
    parts, others = [], Counter[str]()
    left = [geometry] if geometry else []
    while left:
        one = left.pop(0)
        kind = member(one, "type", str, where)
        if kind == "GeometryCollection":
            left = [*member(one, "geometries", list, where, []), *left]
        elif kind in NO_OUTLINES:
            others[NO_OUTLINES[kind]] += 1
        elif kind in ("Polygon", "MultiPolygon"):
            polygons = member(one, "coordinates", list, where, [])
            for polygon in polygons if kind == "MultiPolygon" else [polygons]:
                if not isinstance(polygon, list) or not all(isinstance(points, list) for points in polygon):
                    raise InputError(f"{where}: a polygon is a list of lists of points; export the file again")
                if polygon:
                    outer, *holes = (ring(points, where) for points in polygon)
                    parts.append(Part(outer, tuple(holes)))
        else:
            raise InputError(f"{where}: its geometry is of type {kind!r}, which GeoJSON has not; export it again")
    return parts, others


def _name(properties: dict[str, Any]) -> str:
    """The class: one name, or those of a derived class as QuPath joins them."""
    found = properties.get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        found = ": ".join(map(str, names)) if isinstance(names, list) and names else found.get("name")
    found = found or properties.get("name")
    return found.strip() if isinstance(found, str) else ""
