from collections import Counter

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from monai_seunet.data.outlines import draw_instances, label_of_classes, label_of_instances
from monai_seunet.reading.annotations import Annotation, AnnotationFile, Part, read_annotations
from monai_seunet.reading.annotations.run_lengths import run_lengths
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError

SQUARE = [(2, 1), (6, 1), (6, 4), (2, 4)]


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], dtype=float)


def outlines(*rings: np.ndarray) -> list[Annotation]:
    return [Annotation((Part(np.asarray(ring, dtype=float)),), centre=0.0) for ring in rings]


def test_x_is_the_column_and_y_the_row():
    label = draw_instances(outlines(SQUARE), (8, 10)).label
    rows, columns = np.nonzero(label)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 4, 2, 6)


def test_a_pixel_belongs_to_the_outline_around_its_centre():
    angles = np.linspace(0, 2 * np.pi, 17)[:-1]
    outline = np.stack([20.3 + 11.7 * np.cos(angles), 15.2 + 8.1 * np.sin(angles)], axis=1)
    label = draw_instances(outlines(outline), (32, 40)).label
    y, x = np.mgrid[:32, :40]
    inside = Outline(outline).contains_points(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(32, 40)
    assert np.array_equal(label > 0, inside)
    assert not np.array_equal(draw_instances(outlines(outline[:, ::-1]), (32, 40)).label > 0, inside)


def test_outlines_that_touch_stay_apart():
    drawing = draw_instances(outlines(square(1, 1, 4), square(5, 1, 4)), (8, 12))
    assert set(np.unique(drawing.label)) == {0, 1, 2}
    assert drawing.clipped == drawing.empty == drawing.hidden == []


def test_the_small_one_is_on_top_whatever_the_order():
    large, small = square(0, 0, 9), square(3, 3, 2)
    over, under = (draw_instances(outlines(*order), (10, 10)) for order in ((large, small), (small, large)))
    assert np.array_equal(over.label == 2, under.label == 1)
    assert (over.label == 2).sum() == 9


def test_foreground_is_the_union():
    squares = [square(x, y, 5) for x, y in np.random.default_rng(0).uniform(-3, 20, (30, 2))]
    union = np.zeros((20, 20), dtype=bool)
    for one in squares:
        union |= draw_instances(outlines(one), (20, 20)).label > 0
    assert np.array_equal(draw_instances(outlines(*squares), (20, 20)).label > 0, union)


def test_what_is_not_drawn_whole_is_listed():
    drawn = [square(6, 6, 8), square(30, 30, 4), square(1, 1, 2), square(1, 1, 2), np.zeros((2, 2)), square(-2, 4, 3)]
    drawing = draw_instances(outlines(*drawn), (10, 10))
    assert drawing.clipped == [0]  # the last one runs over by 2 pixels only, as a hand does
    assert drawing.empty == [1, 4]
    assert drawing.hidden == [2]
    assert set(np.unique(drawing.label)) == {0, 1, 4, 6}


def test_more_outlines_than_numbers_are_refused():
    with pytest.raises(ValueError, match="more than 16 bits"):
        draw_instances([Annotation()] * 65536, (2, 2))


def in_file(*annotations: Annotation, **more) -> AnnotationFile:
    return AnnotationFile("GeoJSON", list(annotations), **more)


RING = Annotation((Part(square(0, 0, 9), (square(2.5, 2.5, 4),)), Part(square(12, 1, 2))), "Nucleus", centre=0.0)
INNER = Annotation((Part(square(3, 3, 1)),), "GLAND", centre=0.0)


def test_holes_and_parts_are_of_one_object():
    label = draw_instances([RING, INNER], (16, 18)).label
    expected = np.zeros((16, 18), int)
    expected[0:10, 0:10], expected[1:4, 12:15] = 1, 1
    expected[3:7, 3:7] = 0
    expected[3:5, 3:5] = 2
    assert np.array_equal(label, expected)


def test_classes_are_found_by_name_and_others_are_counted(tmp_path):
    ink, unnamed = (Annotation((Part(square(12, 8, 3)),), name) for name in ("ink", ""))
    problems = []
    found = in_file(RING, ink, INNER, unnamed, ink)
    label = label_of_classes(found, ["background", "gland", "nucleus"], (16, 18), tmp_path / "a.json", problems)
    assert (label[0, 0], label[3, 3], label[6, 6], label[9, 13]) == (2, 1, 0, 0)
    skipped = "outlines of other classes than background, gland, nucleus skipped: 2 of 'ink', 1 without a name"
    assert problems == [f"{tmp_path / 'a.json'}: {skipped}"]


def test_background_that_was_drawn_cuts(tmp_path):
    rest = Annotation((Part(square(3, 3, 1)),), "background")
    label = label_of_classes(in_file(RING, rest), ["background", "nucleus"], (16, 18), tmp_path, [])
    assert label[2, 2] == 1 and label[3, 3] == 0


def test_crowds_are_no_objects_but_have_a_class(tmp_path):
    y, x = np.mgrid[:16, :18]
    crowd = (y > 10) & (x > 10)
    ends = np.flatnonzero(np.diff(crowd.ravel(order="F"), prepend=False, append=False))
    mask = run_lengths(np.diff(ends, prepend=0).tolist(), (16, 18))
    problems = []
    found = in_file(RING, Annotation((), "nucleus", mask=mask, crowd=True), size=(16, 18))
    label = label_of_instances(found, (16, 18), tmp_path / "a.json", problems)
    assert set(np.unique(label)) == {0, 1} and not label[crowd].any()
    assert problems == [f"{tmp_path / 'a.json'}: no outlines, skipped: 1 mark of a crowd"]
    classes = label_of_classes(found, ["background", "nucleus"], (16, 18), tmp_path, [])
    assert (classes[crowd] == 1).all()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (in_file(), "holds no outline; the image is skipped"),
        (in_file(skipped=Counter(ruler=12)), "holds 12 rulers, no outline; the image is skipped"),
        (in_file(skipped=Counter({"bounding box": 2, "point": 1})), "holds 2 bounding boxes, 1 point, no outline"),
        (in_file(*outlines(square(90, 90, 4))), r"none of 1 outline\(s\) covers a pixel of the image \(18 x 16\)"),
        (in_file(RING, size=(32, 36)), "made for 36 x 32 pixels, but the image has 18 x 16"),
    ],
)
def test_what_would_be_an_empty_or_wrong_label_is_refused(tmp_path, found, message):
    for read in (
        label_of_instances,
        lambda found, *rest: label_of_classes(found, ["background", "", "nucleus"], *rest),
    ):
        with pytest.raises(InputError, match=message) as error:
            read(found, (16, 18), tmp_path / "a.xml", [])
        assert str(tmp_path / "a.xml") in str(error.value)


def test_no_outline_of_a_class_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no outline of background, tumour \(there are 1 of 'Nucleus'\); correct"):
        label_of_classes(in_file(RING), ["background", "tumour"], (16, 18), tmp_path, [])


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("name", ["TCGA-CH-5767-01Z-00-DX1", "TCGA-G9-6362-01Z-00-DX1", "TCGA-NH-A8F7-01A-01-TS1"])
def test_outlines_fill_the_published_masks(data_dir, name):
    folder = data_dir / "monuseg"
    mask = read_raster(folder / "binary_masks" / f"{name}.png").pixels > 0
    found = read_annotations(folder / "MoNuSeg 2018 Training Data/Annotations" / f"{name}.xml")
    label = draw_instances(found.annotations, mask.shape).label > 0
    assert dice(label, mask) > 0.999
    moved = outlines(*(one.parts[0].outer - 0.5 for one in found.annotations))
    assert dice(draw_instances(moved, mask.shape).label > 0, mask) < 0.98
    assert dice(label.T, mask) < 0.5
