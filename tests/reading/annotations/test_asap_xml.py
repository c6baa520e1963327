"""Annotations of ASAP."""

import re

import numpy as np
import pytest
from annotation_files import SQUARE, Shape, asap, circle, outers, read


def test_annotations_are_read_with_their_group(tmp_path):
    found = read(tmp_path, asap(SQUARE, Shape(circle(20, 20, 5), name="None")))
    assert found.format == "ASAP XML" and outers(found) == [SQUARE.outer, circle(20, 20, 5)]
    assert [(one.name, one.layer) for one in found.annotations] == [("nucleus", "nucleus"), ("1", "")]


def test_order_decides_and_not_the_file(tmp_path):
    outer = circle(20, 20, 9, 12)
    text = asap(Shape(outer))
    points = re.findall(r"<Coordinate .*?/>", text)
    shuffled = [points[i] for i in np.random.default_rng(0).permutation(12)]
    assert shuffled != points
    assert outers(read(tmp_path, text.replace("".join(points), "".join(shuffled)))) == [outer]
    without = re.sub(r'Order="\d+"', "", text)
    assert outers(read(tmp_path, without)) == [outer]


@pytest.mark.parametrize("kind", ["Polygon", "Spline", "Rectangle", "POLYGON"])
def test_kinds_with_an_area_are_outlines(tmp_path, kind):
    assert outers(read(tmp_path, asap(SQUARE, kind=kind))) == [SQUARE.outer]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("Dot", "point"), ("PointSet", "point set"), ("Measurement", "measurement"), ("Arrow", "Arrow annotation")],
)
def test_others_are_counted(tmp_path, kind, reason):
    found = read(tmp_path, asap(SQUARE, SQUARE, kind=kind))
    assert found.annotations == [] and found.skipped == {reason: 2}


def test_the_root_need_not_be_that_of_asap(tmp_path):
    text = asap(SQUARE).replace("<ASAP_Annotations>", "").replace("</ASAP_Annotations>", "")
    found = read(tmp_path, text)
    assert found.format == "ASAP XML" and outers(found) == [SQUARE.outer]


def test_no_annotation_at_all(tmp_path):
    found = read(tmp_path, "<ASAP_Annotations><Annotations/><AnnotationGroups/></ASAP_Annotations>")
    assert found.format == "ASAP XML" and not found.annotations and not found.skipped
