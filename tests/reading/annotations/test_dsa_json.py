"""Annotations of the Digital Slide Archive."""

import json
import math

import numpy as np
import pytest
from annotation_files import RING, drawn, dsa, mask_of, outers, read, rectangle

from monai_seunet.utils.errors import InputError


def of(*elements):
    return json.dumps({"name": "x", "elements": elements})


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"_id": "1", "annotation": one}, lambda one: [one]])
def test_polylines_with_holes(tmp_path, wrap):
    found = read(tmp_path, json.dumps(wrap(json.loads(dsa(RING)))), "a.json")
    (one,) = found.annotations
    assert np.array_equal(drawn(one), mask_of(RING)) and (one.name, one.layer) == ("gland", "nuclei")


def test_rectangles_turn_about_their_centre(tmp_path):
    shape = {"type": "rectangle", "center": [30, 20, 0], "width": 20, "height": 4, "label": {"value": "a"}}
    found = read(tmp_path, of(shape | {"rotation": 0}, shape | {"rotation": math.pi / 2}), "a.json")
    assert outers(found)[0] == rectangle(20, 18, 40, 22) and [one.name for one in found.annotations] == ["a", "a"]
    assert np.allclose(outers(found)[1], [(32, 10), (32, 30), (28, 30), (28, 10)])


def test_ellipses_and_circles(tmp_path):
    ellipse = {"type": "ellipse", "center": [30, 20, 0], "width": 30.5, "height": 11, "rotation": math.pi / 2}
    found = read(tmp_path, of(ellipse, {"type": "circle", "center": [30, 20, 0], "radius": 6.5}), "a.json")
    y, x = np.mgrid[:40, :60] + 0.5
    assert np.array_equal(drawn(found.annotations[0]), ((x - 30) / 5.5) ** 2 + ((y - 20) / 15.25) ** 2 <= 1)
    assert np.array_equal(drawn(found.annotations[1]), np.hypot(x - 30, y - 20) <= 6.5)


def test_others_are_counted(tmp_path):
    line = {"type": "polyline", "closed": False, "points": [[1, 2, 0], [3, 4, 0], [9, 9, 0]]}
    found = read(tmp_path, of(line, {"type": "point", "center": [1, 2, 0]}, {"type": "heatmap"}, {}), "a.json")
    assert found.skipped == {"line": 1, "point": 1, "heatmap element": 1, "element": 1} and not found.annotations


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"type": "circle", "center": [1, 2, 0]}, "no pair of numbers"),
        ({"type": "ellipse", "width": 1, "height": 2}, "no pair of numbers"),
        ({"type": "rectangle", "center": [1, 2], "width": 1, "height": 2, "rotation": "a"}, "'rotation' is no number"),
        ({"type": "polyline", "closed": True, "points": [[1, 2], [3, 4], [5, 6]], "holes": [7]}, "'holes' must be"),
        ({"type": 7}, "'type' must be a text, got 7"),
        (7, "an object is expected, got 7"),
    ],
)
def test_damaged_elements_are_refused_by_their_number(tmp_path, element, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, of(element), "a.json")
    assert "a.json: element 1" in str(error.value)
