"""Annotations for ASAP and the Digital Slide Archive hold the outlines of the GeoJSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes

from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.annotations.filling import pixels_of
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import write_asap, write_dsa, write_geojson
from monai_seunet.slides.outputs.geometry import SlideGeometry


def rings(path: Path) -> list[tuple[str, np.ndarray]]:
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    return [
        (f["properties"]["classification"]["name"], np.array(f["geometry"]["coordinates"][0][:-1])) for f in features
    ]


def read_asap(path: Path) -> list[tuple[str, np.ndarray]]:
    root = ET.parse(path).getroot()
    assert root.tag == "ASAP_Annotations"
    groups = {group.get("Name") for group in root.iter("Group")}
    found = []
    for annotation in root.iter("Annotation"):
        points = [(int(c.get("Order")), float(c.get("X")), float(c.get("Y"))) for c in annotation.iter("Coordinate")]
        assert [point[0] for point in points] == list(range(len(points)))
        assert annotation.get("Type") == "Polygon" and annotation.get("PartOfGroup") in groups
        found.append((annotation.get("Name"), np.array(points)[:, 1:]))
    return found


def read_dsa(path: Path) -> list[tuple[str, np.ndarray]]:
    elements = json.loads(path.read_text(encoding="utf-8"))["elements"]
    assert all(e["type"] == "polyline" and e["closed"] and e["lineColor"].startswith("rgb(") for e in elements)
    assert all(point[2] == 0 for e in elements for point in e["points"])
    return [(e["label"]["value"], np.array(e["points"])[:, :2]) for e in elements]


@pytest.mark.parametrize(("write", "read"), [(write_asap, read_asap), (write_dsa, read_dsa)])
def test_outlines_are_those_of_the_geojson(
    tmp_path, blocks: list[Objects], geometry: SlideGeometry, write, read
) -> None:
    far = replace(
        geometry, corner=(123_456, 98_765), base=(10**7, 10**7), classes=('a "<b>" & c', *geometry.classes[1:])
    )
    found = read(write(tmp_path / "x", blocks, far))
    expected = rings(write_geojson(tmp_path / "x.geojson", blocks, far))
    assert len(found) == len(expected) == sum(map(len, blocks)) > 0
    for (name, ring), (other, outline) in zip(found, expected, strict=True):
        assert name == other and np.array_equal(ring, outline)


@pytest.mark.parametrize(
    ("write", "name"), [(write_geojson, "a.geojson"), (write_asap, "a.xml"), (write_dsa, "a.json")]
)
def test_outlines_are_read_as_the_pixels_of_the_nuclei(tmp_path, blocks, geometry: SlideGeometry, write, name) -> None:
    """Nuclei that people correct and train on do not grow, in whatever form they come back."""
    alike = replace(geometry, scale=(1.0, 1.0))
    annotations = read_annotations(write(tmp_path / name, blocks, alike)).annotations
    nuclei = [(objects.boxes[k], objects.masks[k]) for objects in blocks for k in range(len(objects))]
    assert len(annotations) == len(nuclei) > 50
    for annotation, ((top, left, bottom, right), mask) in zip(annotations, nuclei, strict=True):
        drawn = np.zeros((bottom - top, right - left), bool)
        drawn[pixels_of(annotation, drawn.shape, (top, left))] = True
        filled = binary_fill_holes(mask)
        assert (drawn != filled).sum() <= 0.05 * filled.sum()


@pytest.mark.parametrize(("write", "read"), [(write_asap, read_asap), (write_dsa, read_dsa)])
def test_no_nuclei_give_an_empty_annotation(tmp_path, geometry: SlideGeometry, write, read) -> None:
    assert read(write(tmp_path / "x", [], geometry)) == []
