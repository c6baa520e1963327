"""Outlines of nuclei as GeoJSON for QuPath, as XML for ASAP, and as JSON for the Digital Slide Archive."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from xml.sax.saxutils import quoteattr

import numpy as np

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, CONTOUR_RGB
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import Numbered, SlideGeometry, number_objects
from monai_seunet.utils.files import atomic_write

if TYPE_CHECKING:
    import shapely

_POLYGON = 3  # type of geometry in shapely


def outlines(objects: Objects, geometry: SlideGeometry, tolerance: float = 0.0) -> np.ndarray:
    """Return valid, counter-clockwise polygons (K,) of shapely in base pixels (x, y), rounded to 0.01.

    Args:
        objects: K nuclei.
        geometry: geometry of the slide.
        tolerance: largest shift of an outline by its simplification, in working pixels; 0 removes only points on
            straight lines.
    """
    import shapely

    if not len(objects):
        return np.zeros(0, object)
    owner = np.repeat(np.arange(len(objects)), [len(contour) for contour in objects.contours])
    rings = shapely.linearrings(np.concatenate(objects.contours)[:, ::-1].astype(np.float64), indices=owner)
    simple = _simplified(shapely.polygons(rings), tolerance)
    return shapely.transform(simple, lambda points: np.round(geometry.to_base(points[:, ::-1])[:, ::-1], 2))


def _simplified(polygons: np.ndarray, tolerance: float) -> np.ndarray:
    """Remove points from polygons, and keep the polygons valid."""
    import shapely

    quick = shapely.simplify(polygons, tolerance, preserve_topology=False)
    broken = ~shapely.is_valid(quick) | shapely.is_empty(quick) | (shapely.get_type_id(quick) != _POLYGON)
    quick[broken] = shapely.simplify(polygons[broken], tolerance, preserve_topology=True)  # much slower
    return quick


def write_geojson(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry, tolerance: float = 0.0) -> Path:
    """Write one feature for every nucleus, in pixels (x, y) of the slide's finest level.

    Invariant: polygons are valid, counter-clockwise and closed. The same nuclei give the same file.
    Limits: coordinates are rounded to 0.01. Only one block is held in memory.

    Args:
        path: path with the ending .geojson, or .geojson.gz for a compressed file.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
        tolerance: largest shift of an outline by its simplification, see `outlines`.

    References:
        RFC 7946. QuPath from version 0.4 on reads ids, measurements and colours in this form (qupath/qupath, pull
        request 1099, `PathObjectTypeAdapters.java`) and files compressed by gzip (pull request 1103). Xenium Ranger and
        Space Ranger import features of the type `cell` only, uncompressed; without `nucleusGeometry` they take
        `geometry` (10x Genomics, Compatible segmentation input files).
    """
    path = Path(path)
    with atomic_write(path) as temporary, _text(temporary) as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for part in number_objects(blocks, geometry):
            for feature in _features(part, geometry, tolerance):
                file.write(separator + feature)
                separator = ",\n"
        file.write("\n]}\n")
    return path


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    # Without name and time, the same nuclei give the same bytes.
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        with io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file:
            yield file


def _features(part: Numbered, geometry: SlideGeometry, tolerance: float) -> Iterator[str]:
    import shapely

    objects = part.objects
    areas = geometry.area(objects.areas)
    for k, polygon in enumerate(shapely.to_geojson(outlines(objects, geometry, tolerance))):
        group = int(objects.groups[k])
        number = int(objects.classes[k]) - 1
        measurements = {f"Area {geometry.area_unit}": round(float(areas[k]), 2)}
        measurements["Confidence"] = round(float(objects.confidences[k]), 4)
        if group >= 0:
            measurements["Scale group"] = group + 1
            if group < len(geometry.sigmas):
                measurements |= _sigma(geometry, group)
        properties = {
            "objectType": geometry.object_type,
            "classification": {"name": geometry.classes[number], "color": CONTOUR_RGB[number % len(CONTOUR_RGB)]},
            "measurements": measurements,
        }
        text = json.dumps(properties, ensure_ascii=False)
        yield f'{{"type":"Feature","id":"{part.ids[k]}","geometry":{polygon},"properties":{text}}}'


def _sigma(geometry: SlideGeometry, group: int) -> dict[str, float]:
    if geometry.working_mpp is None:
        return {"Scale sigma px": round(geometry.sigmas[group] / float(np.mean(geometry.scale)), 3)}
    return {"Scale sigma µm": round(geometry.sigmas[group] * float(np.mean(geometry.working_mpp)), 3)}


def write_asap(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write one polygon for every nucleus, in pixels of the slide's finest level, in a group for each class.

    Limits: the file has no measurements. Only one block is held in memory.

    Args:
        path: path with the ending .xml.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.

    References:
        https://github.com/computationalpathologygroup/ASAP: annotation/XmlRepository.cpp.
    """
    path = Path(path)
    colours = {name: CONTOUR_COLOURS[k % len(CONTOUR_COLOURS)] for k, name in enumerate(geometry.classes)}
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<ASAP_Annotations>\n')
        file.write(f"<Annotations Name={quoteattr(geometry.name)}>\n")
        for objects in blocks:
            for polygon, number in zip(outlines(objects, geometry), objects.classes.tolist(), strict=True):
                name = geometry.classes[number - 1]
                _write_polygon(file, polygon, name, colours[name])
        file.write("</Annotations>\n<AnnotationGroups>\n")
        for name, colour in colours.items():
            file.write(f'<Group Name={quoteattr(name)} PartOfGroup="None" Color="{colour}"><Attributes /></Group>\n')
        file.write("</AnnotationGroups>\n</ASAP_Annotations>\n")
    return path


def _write_polygon(file: TextIO, polygon: shapely.Polygon, name: str, colour: str) -> None:
    quoted = quoteattr(name)  # QuPath reads the class from the name
    file.write(f'<Annotation Name={quoted} Type="Polygon" PartOfGroup={quoted} Color="{colour}"><Coordinates>')
    for order, (x, y) in enumerate(list(polygon.exterior.coords)[:-1]):
        file.write(f'<Coordinate Order="{order}" X="{x}" Y="{y}" />')
    file.write("</Coordinates></Annotation>\n")


def write_dsa(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write one closed polyline for every nucleus, in pixels of the slide's finest level.

    Limits: only one block is held in memory.

    Args:
        path: path with the ending .json.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.

    References:
        https://github.com/girder/large_image: girder_annotation/docs/annotations.rst.
    """
    path = Path(path)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"name": {json.dumps(geometry.name)}, "elements": [')
        separator = "\n"
        for objects in blocks:
            for polygon, number in zip(outlines(objects, geometry), objects.classes.tolist(), strict=True):
                name = geometry.classes[number - 1]
                element = {
                    "type": "polyline",
                    "closed": True,
                    "points": [[x, y, 0] for x, y in list(polygon.exterior.coords)[:-1]],
                    "group": name,
                    "label": {"value": name},
                    "lineColor": f"rgb{CONTOUR_RGB[(number - 1) % len(CONTOUR_RGB)]}",
                    "lineWidth": 2,
                }
                file.write(separator + json.dumps(element))
                separator = ",\n"
        file.write("\n]}\n")
    return path
