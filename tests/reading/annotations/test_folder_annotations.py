"""`prepare folder` takes outlines in every form, one file for each image or one for all."""

import gzip

import numpy as np
import pytest
from annotated_images import NUCLEI, REGIONS, RULERS, expected, labels_of, put
from annotation_files import (
    SIZE,
    Shape,
    asap,
    circle,
    coco,
    collection,
    counts_of,
    feature,
    flat,
    imagescope,
    layer,
    mask_of,
    polygon,
    rectangle,
)
from layouts import prepare, prepared_set, warnings_of, write_image
from slide_files import noise


@pytest.fixture
def folder(tmp_path):
    """Four images with outlines in four forms, in layers of two classes."""
    gland = NUCLEI[1]._replace(name="Gland")
    run_lengths = {"counts": counts_of(mask_of(gland)), "size": list(SIZE)}
    files = {
        "a.xml": imagescope(layer(REGIONS[0], name="NUCLEUS"), layer(*REGIONS[1:], name="gland", number=2)),
        "b.geojson": collection(polygon(NUCLEI[0]), polygon(gland)),
        "c.geojson.gz": gzip.compress(collection(polygon(NUCLEI[0]), polygon(gland)).encode()),
        "d.json": coco(
            [
                {"segmentation": [flat(NUCLEI[0].outer)], "image_id": 7},
                {"segmentation": run_lengths, "image_id": 7, "category_id": 2},
            ],
            [{"id": 7, "file_name": "x/d.jpg"}, {"id": 8, "file_name": "e.jpg"}],
            ("nucleus", "gland"),
        ),
    }
    for name, content in files.items():
        put(tmp_path / "src/masks" / name, content)
        write_image(tmp_path / f"src/images/{name.split('.')[0]}.png", noise(*SIZE))
    return tmp_path / "src"


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (["--label-kind", "instances"], (1, 2)),
        (["--classes", "background,Nucleus,gland"], (1, 2)),
        (["--classes", "background,GLAND,nucleus"], (2, 1)),
    ],
)
def test_a_folder_of_outlines(folder, capsys, options, values):
    assert prepare("folder", folder, *options) == 0, capsys.readouterr().err
    labels, items = labels_of(folder)
    assert sorted(labels) == list("abcd")
    assert all(np.array_equal(label, expected(*values)) for label in labels.values())
    assert {item["label_source"] for item in items.values()} == {"outlines"}
    assert "masks/c.geojson.gz" in prepared_set(folder)[0].sources


def test_unknown_names_are_counted_and_said(folder, capsys):
    shapes = [NUCLEI[0]._replace(name=name) for name in ("ink", "ink", "fold")]
    put(folder / "masks/a.xml", asap(NUCLEI[0], *shapes))
    assert prepare("folder", folder, "--classes", "background,nucleus") == 1
    lines = warnings_of(capsys)
    assert len(lines) == 4 and "a.xml: outlines of other classes than background, nucleus skipped" in lines[0]
    assert lines[0].endswith("2 of 'ink', 1 of 'fold'")
    assert all(np.array_equal(label, expected(1, 0)) for label in labels_of(folder)[0].values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (RULERS, "a.xml: holds 12 rulers, no outline; the image is skipped"),
        (collection(), "a.xml: holds no outline"),
        ("<Annotations/>", "a.xml: holds no outline"),
        (collection(feature("Point", [3, 4])), "a.xml: holds 1 point, no outline"),
        (asap(Shape(circle(500, 500, 5))), "a.xml: none of 1 outline(s) covers a pixel"),
        ("<html/>", "a.xml: XML of 'html' is not a supported"),
        (asap(NUCLEI[0]._replace(name="ink")), "a.xml: no outline of background, nucleus, gland (there"),
        (coco([], [{"id": 1, "file_name": "z.png"}]), "a.xml: no image 'a.png' among its 1"),
        (coco([], [{"id": 1, "file_name": "a.png"}]), "a.xml: holds no outline"),
        (
            coco([{"segmentation": [[1, 1, 9, 1, 9, 9]]}], [{"id": 1, "file_name": "a.png", "height": 9, "width": 8}]),
            "a.xml: made for 8 x 9 pixels, but the image has 60 x 40",
        ),
    ],
)
def test_an_image_without_an_outline_is_left_out_by_name(folder, capsys, content, message):
    put(folder / "masks/a.xml", content)
    assert prepare("folder", folder, "--classes", "background,nucleus,gland") == 1
    [line] = warnings_of(capsys)
    assert message in line and sorted(labels_of(folder)[0]) == list("bcd")


def test_what_is_skipped_in_a_file_is_one_line(folder, capsys):
    others = [feature("Point", [1, 2]), feature("LineString", [[1, 2], [3, 4]]), feature("Point", [1, 2])]
    put(folder / "masks/b.geojson", collection(*map(polygon, NUCLEI), *others))
    assert prepare("folder", folder, "--label-kind", "instances") == 1
    [line] = warnings_of(capsys)
    assert line.endswith("b.geojson: no outlines, skipped: 2 points, 1 line") and len(labels_of(folder)[0]) == 4


@pytest.fixture
def one_file(folder):
    """A file of COCO for images a, b, c; d is not in it, z not in the folder."""
    images = [{"id": i, "file_name": f"train/{name}.tif"} for i, name in enumerate("abcz", 1)]
    entries = [
        {"image_id": image, "category_id": kind, "segmentation": [flat(NUCLEI[kind - 1].outer)]}
        for image in (1, 2, 3)
        for kind in (1, 2)
    ]
    put(folder / "all.json", coco(entries, images, ("nucleus", "gland")))
    return folder / "all.json"


def test_one_file_of_coco_serves_all_images(folder, one_file, capsys):
    options = ["--annotations", str(one_file), "--classes", "background,nucleus,gland"]
    assert prepare("folder", folder, *options) == 1
    first, second = warnings_of(capsys)
    assert "all.json: 1 of its images are not in " in first and "the first is 'z'" in first
    assert "all.json: no image 'd.png' among its 4" in second
    labels, _ = labels_of(folder)
    assert sorted(labels) == list("abc")
    whole = expected(1, 2)
    whole[mask_of(Shape(NUCLEI[1].holes[0]))] = 2
    assert all(np.array_equal(label, whole) for label in labels.values())
    assert "all.json" in prepared_set(folder)[0].sources


def test_a_file_of_another_form_does_not_serve_all_images(folder, refused):
    refused(prepare("folder", folder, "--annotations", str(folder / "masks/b.geojson")), "b.geojson: not a COCO file")


def test_outlines_may_lie_beside_their_images(folder, capsys):
    for path in [*(folder / "images").iterdir(), *(folder / "masks").iterdir()]:
        path.rename(folder / path.name)
    assert prepare("folder", folder, "--images", ".", "--masks", ".", "--label-kind", "instances") == 0
    assert sorted(labels_of(folder)[0]) == list("abcd")


def test_a_mask_and_outlines_of_one_image_are_refused(folder, refused):
    write_image(folder / "masks/a.png", np.zeros(SIZE, np.uint8))
    refused(prepare("folder", folder), "a.xml: a.png has the same name in another format; keep one of them")


def test_outlines_of_no_image_and_hidden_files(folder, capsys):
    put(folder / "masks/._a.xml", b"\0\5\26\7")
    put(folder / "masks/other.xml", asap(Shape(rectangle(1, 1, 5, 5))))
    assert prepare("folder", folder, "--label-kind", "instances") == 1
    [line] = warnings_of(capsys)
    assert "other.xml: no image of this name in" in line
