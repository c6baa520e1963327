"""GeoJSON as QuPath reads it, checked by shapely and by drawing it again; ASAP and DSA get the same outlines."""

import gzip
import json
import uuid
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of
from scipy.ndimage import binary_fill_holes
from shapely import Polygon, contains_xy
from shapely.geometry import shape

from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.annotations.filling import pixels_of
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import ObjectFiles
from monai_seunet.slides.outputs.geojson import write_asap, write_dsa, write_geojson


def features(path: Path) -> list[dict]:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection" and set(content) == {"type", "features"}
    return content["features"]


def test_every_nucleus_is_a_detection(tmp_path, blocks, geometry):
    found = features(write_geojson(tmp_path / "x.geojson", blocks, geometry))
    assert len({feature["id"] for feature in found}) == len(found) == sum(map(len, blocks))
    for feature in found:
        assert feature["type"] == "Feature" and uuid.UUID(feature["id"])
        properties = feature["properties"]
        assert properties["objectType"] == "detection"
        assert properties["classification"]["name"] in geometry.classes
        assert all(0 <= part <= 255 for part in properties["classification"]["color"])
        assert all(isinstance(value, int | float) for value in properties["measurements"].values())
    measured, first = found[3]["properties"]["measurements"], blocks[0]
    assert measured["Area µm^2"] == pytest.approx(first.areas[3] * 0.25 * 0.2502 / (0.5 * 0.4996), abs=0.01)
    assert measured["Confidence"] == pytest.approx(first.confidences[3], abs=1e-4)
    assert measured["Scale group"] == first.groups[3] + 1


def test_cells_for_programs_that_ignore_detections(tmp_path, blocks, geometry):
    cells = features(write_geojson(tmp_path / "x.geojson", blocks, replace(geometry, object_type="cell")))
    plain = features(write_geojson(tmp_path / "y.geojson", blocks, geometry))
    assert {feature["properties"].pop("objectType") for feature in cells} == {"cell"}
    assert {feature["properties"].pop("objectType") for feature in plain} == {"detection"}
    assert cells == plain  # no `nucleusGeometry`: the outline is that of the nucleus


def test_outlines_are_valid_and_hold_the_nuclei(tmp_path, blocks, geometry):
    found = iter(features(write_geojson(tmp_path / "x.geojson", blocks, geometry)))
    for objects in blocks:
        for mask, (y0, x0, y1, x1) in zip(objects.masks, objects.boxes, strict=True):
            outline = next(found)["geometry"]
            polygon = shape(outline)
            (ring,) = outline["coordinates"]
            assert isinstance(polygon, Polygon) and polygon.is_valid and polygon.exterior.is_ccw
            assert ring[0] == ring[-1] and np.array_equal(ring, np.round(ring, 2))
            rows, columns = np.mgrid[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1]
            inside = contains_xy(polygon, (columns + 0.5) / geometry.scale[1], (rows + 0.5) / geometry.scale[0])
            assert np.array_equal(inside, np.pad(mask, 1))


def test_a_square_has_its_place_in_pixels_of_the_slide(tmp_path, geometry):
    mask = np.zeros((40, 40), bool)
    mask[10:14, 20:26] = True
    fine = replace(geometry, scale=(0.5, 0.25))
    (feature,) = features(write_geojson(tmp_path / "x.geojson", [find_nuclei(maps_of(mask), RULES)], fine))
    assert shape(feature["geometry"]).bounds == (80, 20, 104, 28)


@pytest.mark.parametrize("tolerance", [0.7, 5.0])
def test_simplified_outlines_have_fewer_points_and_stay_valid(tmp_path, blocks, geometry, tolerance):
    full = features(write_geojson(tmp_path / "full.geojson", blocks, geometry))
    coarse = features(write_geojson(tmp_path / "coarse.geojson", blocks, geometry, tolerance))
    points = [sum(len(feature["geometry"]["coordinates"][0]) for feature in found) for found in (full, coarse)]
    assert points[1] < 0.8 * points[0]
    assert all(shape(feature["geometry"]).is_valid for feature in coarse)
    assert max(len(feature["geometry"]["coordinates"]) for feature in coarse) == 1


def test_ids_do_not_depend_on_the_blocks(tmp_path, geometry):
    maps = maps_of(discs(geometry.size, (30, 30, 9), (30, 90, 9), (100, 40, 12)))
    whole = find_nuclei(maps, RULES)
    halves = [find_nuclei(maps_of(maps.probability[0, :60] > 0), RULES)]
    halves.append(find_nuclei(maps_of(maps.probability[0, 60:] > 0), RULES, (60, 0)))
    one = write_geojson(tmp_path / "one.geojson", [whole], geometry).read_bytes()
    assert one == write_geojson(tmp_path / "two.geojson", halves, geometry).read_bytes()
    for change in ({"name": "other slide"}, {"file_bytes": 1}):
        other = write_geojson(tmp_path / "other.geojson", [whole], replace(geometry, **change))
        assert {f["id"] for f in features(tmp_path / "one.geojson")}.isdisjoint(f["id"] for f in features(other))


def test_compressed_files_hold_the_same_and_no_time(tmp_path, blocks, geometry):
    names = ("x.geojson", "x.geojson.gz", "y.geojson.gz")
    plain, packed, again = (write_geojson(tmp_path / name, blocks, geometry).read_bytes() for name in names)
    assert gzip.decompress(packed) == plain and again == packed


def test_what_is_not_known_is_not_there(tmp_path, unknown_frame):
    objects = find_nuclei(maps_of(discs((40, 40), (20, 20, 9)), group=255), RULES)
    (feature,) = features(write_geojson(tmp_path / "x.geojson", [objects], unknown_frame))
    assert set(feature["properties"]["measurements"]) == {"Area px^2", "Confidence"}


@pytest.mark.parametrize("name", ["x.geojson", "x.geojson.gz"])
def test_no_nuclei_give_an_empty_collection(tmp_path, blocks, geometry, name):
    empty = [objects for objects in blocks if not len(objects)]
    for number, parts in enumerate(([], empty)):
        content = write_geojson(tmp_path / str(number) / name, parts, geometry).read_bytes()
        text = gzip.decompress(content) if name.endswith("gz") else content
        assert json.loads(text) == {"type": "FeatureCollection", "features": []}


def test_an_error_leaves_the_old_file(tmp_path, blocks, geometry):
    path = write_geojson(tmp_path / "x.geojson", [], geometry)
    before = path.read_bytes()
    files = ObjectFiles([blocks[0].save(tmp_path / "0.npz"), tmp_path / "missing.npz"])
    with pytest.raises(ValueError, match="missing"):
        write_geojson(path, files, geometry)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.npz", "x.geojson"]


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
def test_outlines_are_those_of_the_geojson(tmp_path, blocks, geometry, write, read):
    classes = ('a "<b>" & c', *geometry.classes[1:])
    far = replace(geometry, corner=(123_456, 98_765), base=(10**7, 10**7), classes=classes)
    found = read(write(tmp_path / "x", blocks, far))
    expected = features(write_geojson(tmp_path / "x.geojson", blocks, far))
    assert len(found) == len(expected) == sum(map(len, blocks)) > 0
    for (name, ring), feature in zip(found, expected, strict=True):
        assert name == feature["properties"]["classification"]["name"]
        assert np.array_equal(ring, feature["geometry"]["coordinates"][0][:-1])
    assert read(write(tmp_path / "x", [], geometry)) == []


@pytest.mark.parametrize(("write", "end"), [(write_geojson, "geojson"), (write_asap, "xml"), (write_dsa, "json")])
def test_outlines_are_read_as_the_pixels_of_the_nuclei(tmp_path, blocks, geometry, write, end):
    """Nuclei that people correct and train on do not grow, in whatever form they come back."""
    alike = replace(geometry, scale=(1.0, 1.0))
    annotations = read_annotations(write(tmp_path / f"a.{end}", blocks, alike)).annotations
    nuclei = [(objects.boxes[k], objects.masks[k]) for objects in blocks for k in range(len(objects))]
    assert len(annotations) == len(nuclei) > 50
    for annotation, ((top, left, bottom, right), mask) in zip(annotations, nuclei, strict=True):
        drawn = np.zeros((bottom - top, right - left), bool)
        drawn[pixels_of(annotation, drawn.shape, (top, left))] = True
        filled = binary_fill_holes(mask)
        assert (drawn != filled).sum() <= 0.05 * filled.sum()
