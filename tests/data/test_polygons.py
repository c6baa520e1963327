from __future__ import annotations

import numpy as np
import pytest
from layouts import aperio_xml
from matplotlib.path import Path as Outline

from monai_seunet.data.polygons import draw_instances, read_aperio_xml
from monai_seunet.errors import InputError
from monai_seunet.reading.raster import read_raster

SQUARE = [(2, 1), (6, 1), (6, 4), (2, 4)]


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], dtype=float)


def test_outlines_are_read_as_x_and_y(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(aperio_xml(SQUARE, [(0.5, 7), (1, 8)]))
    first, second = read_aperio_xml(path)
    assert first.tolist() == [list(map(float, point)) for point in SQUARE]
    assert second.tolist() == [[0.5, 7], [1, 8]]


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]>'
LEAK = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (aperio_xml(SQUARE, head=BOMB), "document type"),
        (aperio_xml(SQUARE, head=LEAK), "document type"),
        (aperio_xml(SQUARE)[:-5], "cannot be read as XML"),
        ("", "cannot be read as XML"),
        (aperio_xml(SQUARE).replace('X="6"', 'X="six"'), "point without readable X and Y"),
        (aperio_xml(SQUARE).replace('X="6"', 'Z="6"'), "point without readable X and Y"),
    ],
)
def test_unsafe_or_broken_xml_is_refused(tmp_path, text, message):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_aperio_xml(path)
    assert str(path) in str(error.value)


def test_x_is_the_column_and_y_the_row():
    label = draw_instances([np.array(SQUARE, dtype=float)], (8, 10)).label
    rows, columns = np.nonzero(label)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 4, 2, 6)


def test_a_pixel_belongs_to_the_outline_around_its_centre():
    angles = np.linspace(0, 2 * np.pi, 17)[:-1]
    outline = np.stack([20.3 + 11.7 * np.cos(angles), 15.2 + 8.1 * np.sin(angles)], axis=1)
    label = draw_instances([outline], (32, 40)).label
    y, x = np.mgrid[:32, :40]
    inside = Outline(outline).contains_points(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(32, 40)
    assert np.array_equal(label > 0, inside)
    assert not np.array_equal(draw_instances([outline[:, ::-1]], (32, 40)).label > 0, inside)


def test_outlines_that_touch_stay_apart():
    drawing = draw_instances([square(1, 1, 4), square(5, 1, 4)], (8, 12))
    assert set(np.unique(drawing.label)) == {0, 1, 2}
    assert drawing.clipped == drawing.empty == drawing.hidden == []


def test_the_small_one_is_on_top_whatever_the_order():
    large, small = square(0, 0, 9), square(3, 3, 2)
    over, under = draw_instances([large, small], (10, 10)), draw_instances([small, large], (10, 10))
    assert np.array_equal(over.label == 2, under.label == 1)
    assert (over.label == 2).sum() == 9


def test_foreground_is_the_union():
    outlines = [square(x, y, 5) for x, y in np.random.default_rng(0).uniform(-3, 20, (30, 2))]
    union = np.zeros((20, 20), dtype=bool)
    for outline in outlines:
        union |= draw_instances([outline], (20, 20)).label > 0
    assert np.array_equal(draw_instances(outlines, (20, 20)).label > 0, union)


def test_what_is_not_drawn_whole_is_listed():
    outlines = [
        square(6, 6, 8),
        square(30, 30, 4),
        square(1, 1, 2),
        square(1, 1, 2),
        np.zeros((2, 2)),
        square(-2, 4, 3),
    ]
    drawing = draw_instances(outlines, (10, 10))
    assert drawing.clipped == [0]  # the last one runs over by 2 pixels only, as a hand does
    assert drawing.empty == [1, 4]
    assert drawing.hidden == [2]
    assert set(np.unique(drawing.label)) == {0, 1, 4, 6}


def test_more_outlines_than_numbers_are_refused():
    with pytest.raises(ValueError, match="more than 16 bits"):
        draw_instances([np.zeros((0, 2))] * 65536, (2, 2))


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("name", ["TCGA-CH-5767-01Z-00-DX1", "TCGA-G9-6362-01Z-00-DX1", "TCGA-NH-A8F7-01A-01-TS1"])
def test_outlines_fill_the_published_masks(data_dir, name):
    folder = data_dir / "monuseg"
    mask = read_raster(folder / "binary_masks" / f"{name}.png").pixels > 0
    outlines = read_aperio_xml(folder / "MoNuSeg 2018 Training Data/Annotations" / f"{name}.xml")
    label = draw_instances(outlines, mask.shape).label > 0
    assert dice(label, mask) > 0.999
    assert dice(draw_instances([o - 0.5 for o in outlines], mask.shape).label > 0, mask) < 0.98
    assert dice(label.T, mask) < 0.5
