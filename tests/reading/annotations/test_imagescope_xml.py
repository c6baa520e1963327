"""Regions of ImageScope: layers, holes, shapes, and names in any writing."""

import re

import numpy as np
import pytest
from annotation_files import Shape, circle, drawn, imagescope, layer, mask_of, outers, read, rectangle, region

SQUARE, OTHER = rectangle(2, 1, 6, 4), rectangle(20.5, 10, 30, 20.25)


def test_regions_are_read_in_their_order_with_x_and_y(tmp_path):
    found = read(tmp_path, imagescope(layer(region(SQUARE), region(OTHER))))
    assert found.format == "ImageScope XML" and outers(found) == [SQUARE, OTHER] and not found.skipped
    assert [(one.name, one.layer) for one in found.annotations] == [("nucleus", "nucleus")] * 2


def test_layers_name_their_regions(tmp_path):
    described = '<Annotation Id="7" Name=""><Attributes><Attribute Name="Description" Value="stroma"/></Attributes>'
    described += f"<Regions>{region(OTHER)}</Regions></Annotation>"
    unnamed = layer(region(SQUARE, text="mitosis"), region(OTHER), name="", number=9)
    found = read(tmp_path, imagescope(layer(region(SQUARE), name="Tumor"), described, unnamed))
    told = [(one.name, one.layer) for one in found.annotations]
    assert told == [("Tumor", "Tumor"), ("stroma", "stroma"), ("mitosis", "9"), ("", "9")]


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        str.lower,
        lambda text: text.replace("<Annotations", '<Annotations xmlns="urn:aperio"'),
        lambda text: re.sub("(</?)", r"\1x:", text).replace("<x:Annotations", '<x:Annotations xmlns:x="urn:x"'),
    ],
    ids=["upper", "lower", "namespace", "prefix"],
)
def test_case_and_namespace_do_not_count(tmp_path, change):
    found = read(tmp_path, change(imagescope(layer(region(OTHER), region(circle(25, 15, 3), negative=1)))))
    assert outers(found) == [OTHER] and len(found.annotations[0].parts[0].holes) == 1


def test_a_negative_region_is_a_hole(tmp_path):
    outer, hole = region(circle(128, 128, 60, 360)), region(circle(128, 128, 30, 360), negative=1)
    (one,) = read(tmp_path, imagescope(layer(outer, hole))).annotations
    y, x = np.mgrid[:256, :256] - 128
    disc = (np.hypot(y, x) <= 60) & (np.hypot(y, x) > 30)
    mask = drawn(one, disc.shape)
    assert (mask != disc).sum() < 30 and disc.sum() == 8468 and abs(int(mask.sum()) - 8468) < 15


def test_a_hole_is_cut_where_it_lies_in_its_own_layer_alone(tmp_path):
    large, small, hole = rectangle(0, 0, 30, 30), rectangle(12, 12, 16, 16), rectangle(10, 10, 20, 20)
    crossing = rectangle(26, 0, 32, 6)  # lies in `large` by two thirds
    island_first = layer(region(hole, negative=1), region(large), region(small), region(crossing, negative=1))
    found = read(tmp_path, imagescope(island_first, layer(region(large), name="tissue", number=2)))
    assert [len(one.parts[0].holes) for one in found.annotations] == [2, 0, 0] and not found.skipped


def test_negative_regions_in_none_are_counted(tmp_path):
    away = region(rectangle(40, 30, 50, 39), negative="true")
    found = read(tmp_path, imagescope(layer(region(SQUARE), away, region(rectangle(5, 1, 15, 4), negative=1))))
    assert found.skipped == {"stray negative region": 2} and len(found.annotations) == 1


def test_a_hole_in_an_outline_that_crosses_itself(tmp_path):
    bow = [(0.0, 0.0), (40.0, 30.0), (40.0, 0.0), (0.0, 30.0)]
    found = read(tmp_path, imagescope(layer(region(bow), region(circle(35, 15, 2), negative=1))))
    assert len(found.annotations[0].parts[0].holes) == 1


@pytest.mark.parametrize("corners", [[(10, 5), (40, 25)], rectangle(10, 5, 40, 25), [(40, 5), (10, 25)]])
def test_an_ellipse_is_drawn_in_its_box(tmp_path, corners):
    (one,) = read(tmp_path, imagescope(layer(region(corners, kind=2)))).annotations
    y, x = np.mgrid[:40, :60]
    expected = ((x - 25) / 15) ** 2 + ((y - 15) / 10) ** 2
    mask = drawn(one)
    assert mask[expected < 0.999].all() and not mask[expected > 1.001].any() and abs(int(mask.sum()) - np.pi * 150) < 15


def test_a_rectangle_of_two_corners_is_whole(tmp_path):
    found = read(tmp_path, imagescope(layer(region([(2, 1), (6, 4)], kind=1), region(SQUARE, kind=1))))
    assert outers(found) == [SQUARE, SQUARE]


def test_what_has_no_area_is_counted_by_kind(tmp_path):
    kinds = [3, 4, 4, 5, 77]
    regions = [region([(1, 2), (8, 9)], kind=kind) for kind in kinds]
    found = read(tmp_path, imagescope(layer(*regions, region(SQUARE))))
    assert found.skipped == {"arrow": 1, "ruler": 2, "counter": 1, "type 77 region": 1} and outers(found) == [SQUARE]


def test_holes_are_those_of_matplotlib(tmp_path):
    shape = Shape(circle(30, 20, 15.3), [circle(26, 20, 5.7), circle(36, 22, 3.1)])
    rings = [region(hole, negative=1) for hole in shape.holes]
    (one,) = read(tmp_path, imagescope(layer(*rings, region(shape.outer)))).annotations
    assert np.array_equal(drawn(one), mask_of(shape, centre=0.0)) and 500 < drawn(one).sum() < 650
