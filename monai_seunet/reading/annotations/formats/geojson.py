"""Annotations in GeoJSON files of QuPath and other programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from monai_seunet.reading.annotations.annotation import Annotation, AnnotationFile, Part, ring
from monai_seunet.reading.annotations.formats.json_values import member
from monai_seunet.utils.errors import InputError

FORMAT = "GeoJSON"
NO_OUTLINES = {"Point": "point", "MultiPoint": "point set", "LineString": "line", "MultiLineString": "line"}
GEOMETRIES = {"Polygon", "MultiPolygon", "GeometryCollection", *NO_OUTLINES}
TYPES = {"FeatureCollection", "Feature", *GEOMETRIES}


def geojson_annotations(content: Any, where: str) -> AnnotationFile:
    """Convert a feature collection, a list of features, a feature or a geometry in JSON to annotations.

    A cell with a nucleus is represented by its nucleus. The name is that of the classification, or that of the feature
    without a classification.
    Limits: planes, channels and times are ignored.

    References:
        RFC 7946; qupath/qupath, `PathObjectTypeAdapters.java`.
    """
    features = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and content.get("type") == "FeatureCollection":
        features = member(content, "features", list, where, [])
    has_nuclei = any(isinstance(feature, dict) and feature.get("nucleusGeometry") for feature in features)
    annotations, skipped = [], Counter[str]()
    for number, feature in enumerate(features, 1):
        where_feature = f"{where}: feature {number}"
        feature_type = member(feature, "type", str, where_feature)
        if feature_type in GEOMETRIES:
            feature = {"type": "Feature", "geometry": feature}
        elif feature_type != "Feature":
            raise InputError(f"{where_feature}: its type is {feature_type!r} instead of 'Feature'; export it again")
        properties = member(feature, "properties", dict, where_feature, {})
        layer = properties.get("objectType")
        geometry = member(feature, "nucleusGeometry", dict, where_feature)
        if geometry is None and layer == "cell" and has_nuclei:
            skipped["nucleus-free cell"] += 1
            continue
        parts, skipped_geometries = _parts(geometry or member(feature, "geometry", dict, where_feature), where_feature)
        skipped += skipped_geometries
        if parts:
            annotations.append(Annotation(tuple(parts), _name(properties), layer if isinstance(layer, str) else ""))
        elif not skipped_geometries:
            skipped["empty feature"] += 1
    return AnnotationFile(FORMAT, annotations, skipped)


def _parts(geometry: dict[str, Any] | None, where: str) -> tuple[list[Part], Counter[str]]:
    parts, skipped = [], Counter[str]()
    queue = [geometry] if geometry else []
    while queue:
        current = queue.pop(0)
        geometry_type = member(current, "type", str, where)
        if geometry_type == "GeometryCollection":
            queue = [*member(current, "geometries", list, where, []), *queue]
        elif geometry_type in NO_OUTLINES:
            skipped[NO_OUTLINES[geometry_type]] += 1
        elif geometry_type in ("Polygon", "MultiPolygon"):
            polygons = member(current, "coordinates", list, where, [])
            for polygon in polygons if geometry_type == "MultiPolygon" else [polygons]:
                if not isinstance(polygon, list) or not all(isinstance(points, list) for points in polygon):
                    raise InputError(f"{where}: a polygon is a list of lists of points; export the file again")
                if polygon:
                    outer, *holes = (ring(points, where) for points in polygon)
                    parts.append(Part(outer, tuple(holes)))
        else:
            raise InputError(f"{where}: its geometry is of type {geometry_type!r}, unknown in GeoJSON; export it again")
    return parts, skipped


def _name(properties: dict[str, Any]) -> str:
    """Return the name of the class; the names of a derived class are joined as in QuPath."""
    name = properties.get("classification")
    if isinstance(name, dict):
        names = name.get("names")
        name = ": ".join(map(str, names)) if isinstance(names, list) and names else name.get("name")
    name = name or properties.get("name")
    return name.strip() if isinstance(name, str) else ""
