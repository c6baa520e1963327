"""GeoJSON, as QuPath and others write it."""

import gzip
import json

import numpy as np
import pytest
from annotation_files import (
    RING,
    SQUARE,
    Shape,
    circle,
    closed,
    collection,
    drawn,
    feature,
    mask_of,
    outers,
    polygon,
    read,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (collection(polygon(SQUARE), polygon(SQUARE)), 2),
        (json.dumps([polygon(SQUARE), polygon(SQUARE), polygon(SQUARE)]), 3),
        (json.dumps(polygon(SQUARE)), 1),
        (json.dumps(polygon(SQUARE)["geometry"]), 1),
        (collection(), 0),
        ("[]", 0),
    ],
)
def test_collections_lists_and_single_features(tmp_path, text, count):
    found = read(tmp_path, text, "a.json")
    assert found.format == "GeoJSON" and len(found.annotations) == count
    assert all(outer == [*SQUARE.outer, SQUARE.outer[0]] for outer in outers(found))


def test_holes_and_names(tmp_path):
    (one,) = read(tmp_path, collection(polygon(RING)), "a.geojson").annotations
    assert np.array_equal(drawn(one), mask_of(RING)) and one.name == "gland" and one.layer == "annotation"


def test_parts_of_a_multipolygon_keep_their_own_holes(tmp_path):
    island = Shape(circle(26, 20, 2.2))  # in the hole of the first
    parts = [[closed(RING.outer), closed(RING.holes[0])], [closed(island.outer)]]
    (one,) = read(tmp_path, collection(feature("MultiPolygon", parts)), "a.geojson").annotations
    mask = drawn(one)
    assert np.array_equal(mask, mask_of(RING) | mask_of(island)) and mask[20, 26] and not mask[20, 22]


@pytest.mark.parametrize("name", ["a.geojson.gz", "a.json", "a.geojson"])
def test_gzip_is_seen_by_content(tmp_path, name):
    assert len(read(tmp_path, gzip.compress(collection(polygon(SQUARE)).encode()), name).annotations) == 1


def test_what_has_no_area_is_counted(tmp_path):
    points = [[1, 2], [3, 4]]
    others = [feature(kind, points) for kind in ("LineString", "MultiPoint", "LineString")]
    others += [feature("Point", points[0]), {"type": "Feature", "geometry": None, "properties": None}]
    found = read(tmp_path, collection(*others, polygon(SQUARE)), "a.json")

    assert found.skipped == {"point": 1, "line": 2, "point set": 1, "empty feature": 1}
    assert len(found.annotations) == 1


def test_of_a_cell_the_nucleus_is_taken(tmp_path):
    cell = polygon(Shape(circle(20, 20, 10)))
    cell["properties"]["objectType"] = "cell"
    whole = cell | {"nucleusGeometry": polygon(Shape(circle(20, 20, 4)))["geometry"]}
    found = read(tmp_path, collection(whole, cell), "a.json")
    assert outers(found) == [[*circle(20, 20, 4), circle(20, 20, 4)[0]]] and found.skipped == {"nucleus-free cell": 1}
    assert len(read(tmp_path, collection(cell), "a.json").annotations) == 1  # cells alone are what was drawn


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"classification": {"names": ["Tumor", "Positive"]}}, "Tumor: Positive"),
        ({"classification": {"name": " Tumor "}}, "Tumor"),
        ({"classification": "Tumor"}, "Tumor"),
        ({"name": "gland"}, "gland"),
        ({"classification": {"name": None}, "name": 7}, ""),
        (None, ""),
    ],
)
def test_names(tmp_path, properties, name):
    text = collection(polygon(SQUARE) | {"properties": properties})
    assert [one.name for one in read(tmp_path, text, "a.json").annotations] == [name]


def test_a_collection_of_geometries_is_one_object(tmp_path):
    geometries = [polygon(SQUARE)["geometry"], {"type": "Point", "coordinates": [1, 2]}, polygon(RING)["geometry"]]
    text = collection({"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": geometries}})
    found = read(tmp_path, text, "a.json")
    assert [len(one.parts) for one in found.annotations] == [2] and found.skipped == {"point": 1}


def test_a_third_coordinate_and_measurements_that_are_no_numbers_do_not_matter(tmp_path):
    one = feature("Polygon", [[[x, y, 5.0] for x, y in closed(SQUARE.outer)]])
    one["properties"]["measurements"] = {"Nucleus: Area": float("nan")}
    assert outers(read(tmp_path, collection(one), "a.json")) == [[*SQUARE.outer, SQUARE.outer[0]]]
