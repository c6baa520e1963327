"""`prepare` takes outlines in every form, and never makes an empty label of a file without one."""

from __future__ import annotations

import gzip
import json
import math

import numpy as np
import pytest
from annotation_files import (
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
    region,
    shifted,
    write_noise,
)
from PIL import Image

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset

SIZE = (40, 60)
NUCLEI = [Shape(circle(15, 15, 6.3)), Shape(circle(40, 20, 9.2), [circle(40, 20, 3.1)])]
REGIONS = [
    region(shifted(NUCLEI[0].outer)),
    region(shifted(NUCLEI[1].outer)),
    region(shifted(NUCLEI[1].holes[0]), negative=1),
]
RULERS = imagescope(layer(*(region([(1, 2), (30, 30)], kind=4) for _ in range(12))))


def expected(*values):
    label = np.zeros(SIZE, int)
    for value, shape in zip(values, NUCLEI, strict=True):
        label[mask_of(shape, SIZE)] = value
    return label


def labels_of(folder):
    dataset = load_dataset(folder)
    items = {item["image"].split("/")[-1][:-4]: item for item in dataset.training + dataset.validation}
    return {name: np.asarray(Image.open(item["label"])).astype(int) for name, item in items.items()}, items


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def warnings_of(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]


@pytest.fixture
def monuseg(tmp_path):
    """Images of MoNuSeg's layout, one for each form of outlines."""
    files = {
        "TCGA-AA-0001.xml": imagescope(layer(*REGIONS)),
        "TCGA-AA-0002.geojson": collection(*map(polygon, NUCLEI)),
        "TCGA-AA-0003.geojson.gz": gzip.compress(json.dumps([polygon(one) for one in NUCLEI]).encode()),
        "TCGA-AA-0004.json": coco(
            [{"segmentation": {"counts": counts_of(mask_of(one, SIZE)), "size": list(SIZE)}} for one in NUCLEI],
            [{"id": 1, "file_name": "TCGA-AA-0004.tif", "height": 40, "width": 60}],
        ),
    }
    for name, content in files.items():
        put(tmp_path / "src/Annotations" / name, content)
        write_noise(tmp_path / f"src/Tissue Images/{name.split('.')[0]}.tif")
    return tmp_path / "src"


def prepare_monuseg(source):
    return main(["prepare", "monuseg", str(source), str(source.parent / "set"), "--overwrite"])


def test_all_forms_beside_images_of_monuseg(monuseg, capsys):
    assert prepare_monuseg(monuseg) == 0, capsys.readouterr().err
    labels, items = labels_of(monuseg.parent / "set")
    assert sorted(labels) == [f"TCGA-AA-000{i}" for i in (1, 2, 3, 4)]
    assert all(np.array_equal(label, expected(1, 2)) for label in labels.values())
    assert {item["label_source"] for item in items.values()} == {"outlines"}


def planted():
    return [(y, x, 10 + 2 * i) for i, (y, x) in enumerate([(40, 40), (40, 120), (120, 40), (180, 180)])]


def ring(y, x, radius):
    return [(round(x + radius * math.cos(t * 0.26), 2), round(y + radius * math.sin(t * 0.26), 2)) for t in range(24)]


@pytest.fixture
def odd(tmp_path):
    """MoNuSeg's layout with the form of ASAP, no outline at all, a hole, rulers alone, and nothing to skip."""
    texts = {
        "asap": asap(*(Shape(ring(*disc)) for disc in planted())),
        "none": "<Annotations/>",
        "hole": imagescope(layer(region(ring(128, 128, 60)), region(ring(128, 128, 30), negative=1))),
        "rulers": RULERS,
        "coco": coco([], [{"id": 1, "file_name": "TCGA-AA-coco.tif"}]),
        "empty": collection(),
    }
    for name, text in texts.items():
        put(tmp_path / f"src/Annotations/TCGA-AA-{name}.{'xml' if text[0] == '<' else 'json'}", text)
        write_noise(tmp_path / f"src/Tissue Images/TCGA-AA-{name}.tif", (256, 256))
    return tmp_path / "src"


def test_no_outline_is_said_by_name_and_the_image_is_left_out(odd, capsys):
    assert prepare_monuseg(odd) == 1
    lines = warnings_of(capsys)
    told = {
        "coco.json": "holds no outline",
        "empty.json": "holds no outline",
        "none.xml": "holds no outline",
        "rulers.xml": "holds 12 rulers, no outline",
    }
    assert len(lines) == len(told)
    for line, (name, words) in zip(lines, told.items(), strict=True):
        assert f"TCGA-AA-{name}: {words}; the image is skipped" in line
    labels, _ = labels_of(odd.parent / "set")
    assert sorted(labels) == ["TCGA-AA-asap", "TCGA-AA-hole"]


def test_the_form_of_asap_gives_its_nuclei_and_a_hole_is_none(odd):
    prepare_monuseg(odd)
    labels, _ = labels_of(odd.parent / "set")
    y, x = np.mgrid[:256, :256] + 0.5
    discs = np.zeros((256, 256), int)
    for number, (row, column, radius) in enumerate(planted(), 1):
        discs[np.hypot(y - row, x - column) <= radius] = number
    assert (labels["TCGA-AA-asap"] != discs).sum() < 0.04 * (discs > 0).sum()
    assert [labels["TCGA-AA-asap"][row, column] for row, column, _ in planted()] == [1, 2, 3, 4]
    hole = labels["TCGA-AA-hole"]
    shape = Shape(ring(128, 128, 60), [ring(128, 128, 30)])
    assert np.array_equal(hole, mask_of(shape, (256, 256), 0.0)) and hole.sum() == 8381  # of 24 corners: 8483 - 1.2 %
    assert hole[128, 128] == 0 and set(np.unique(hole)) == {0, 1}


@pytest.fixture
def folder(tmp_path):
    """Four images with outlines in four forms, in layers of two classes."""
    gland = NUCLEI[1]._replace(name="Gland")
    files = {
        "a.xml": imagescope(layer(REGIONS[0], name="NUCLEUS"), layer(*REGIONS[1:], name="gland", number=2)),
        "b.geojson": collection(polygon(NUCLEI[0]), polygon(gland)),
        "c.geojson.gz": gzip.compress(collection(polygon(NUCLEI[0]), polygon(gland)).encode()),
        "d.json": coco(
            [
                {"segmentation": [flat(NUCLEI[0].outer)], "image_id": 7},
                {
                    "segmentation": {"counts": counts_of(mask_of(gland, SIZE)), "size": list(SIZE)},
                    "image_id": 7,
                    "category_id": 2,
                },
            ],
            [{"id": 7, "file_name": "x/d.jpg"}, {"id": 8, "file_name": "e.jpg"}],
            ("nucleus", "gland"),
        ),
    }
    for name, content in files.items():
        put(tmp_path / "src/masks" / name, content)
        write_noise(tmp_path / f"src/images/{name.split('.')[0]}.png")
    return tmp_path / "src"


def prepare_folder(source, *options):
    return main(["prepare", "folder", str(source), str(source.parent / "set"), "--mpp", "0.5", "--overwrite", *options])


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (["--label-kind", "instances"], (1, 2)),
        (["--classes", "background,Nucleus,gland"], (1, 2)),
        (["--classes", "background,GLAND,nucleus"], (2, 1)),
    ],
)
def test_a_folder_of_outlines(folder, capsys, options, values):
    assert prepare_folder(folder, *options) == 0, capsys.readouterr().err
    labels, items = labels_of(folder.parent / "set")
    assert sorted(labels) == list("abcd")
    assert all(np.array_equal(label, expected(*values)) for label in labels.values())
    assert {item["label_source"] for item in items.values()} == {"outlines"}
    assert "masks/c.geojson.gz" in load_dataset(folder.parent / "set").sources


def test_unknown_names_are_counted_and_said(folder, capsys):
    shapes = [NUCLEI[0]._replace(name=name) for name in ("ink", "ink", "fold")]
    put(folder / "masks/a.xml", asap(NUCLEI[0], *shapes))
    assert prepare_folder(folder, "--classes", "background,nucleus") == 1
    lines = warnings_of(capsys)
    assert len(lines) == 4 and "a.xml: outlines of other classes than background, nucleus skipped" in lines[0]
    assert lines[0].endswith("2 of 'ink', 1 of 'fold'")
    labels, _ = labels_of(folder.parent / "set")
    assert all(np.array_equal(label, expected(1, 0)) for label in labels.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (RULERS, "a.xml: holds 12 rulers, no outline; the image is skipped"),
        (collection(), "a.xml: holds no outline"),
        ("<Annotations/>", "a.xml: holds no outline"),
        (collection(feature("Point", [3, 4])), "a.xml: holds 1 point, no outline"),
        (asap(Shape(circle(500, 500, 5))), "a.xml: none of 1 outline(s) covers a pixel"),
        ("<html/>", "a.xml: XML of 'html' is not a supported"),
        (
            asap(NUCLEI[0]._replace(name="ink")),
            "a.xml: no outline of background, nucleus, gland (there",
        ),
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
    assert prepare_folder(folder, "--classes", "background,nucleus,gland") == 1
    lines = warnings_of(capsys)
    assert len(lines) == 1 and message in lines[0]
    assert sorted(labels_of(folder.parent / "set")[0]) == list("bcd")


def test_what_is_skipped_in_a_file_is_one_line(folder, capsys):
    others = [feature("Point", [1, 2]), feature("LineString", [[1, 2], [3, 4]]), feature("Point", [1, 2])]
    put(folder / "masks/b.geojson", collection(*map(polygon, NUCLEI), *others))
    assert prepare_folder(folder, "--label-kind", "instances") == 1
    lines = warnings_of(capsys)
    assert len(lines) == 1 and lines[0].endswith("b.geojson: no outlines, skipped: 2 points, 1 line")
    assert len(labels_of(folder.parent / "set")[0]) == 4


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
    assert prepare_folder(folder, *options) == 1
    first, second = warnings_of(capsys)
    assert "all.json: 1 of its images are not in " in first and "the first is 'z'" in first
    assert "all.json: no image 'd.png' among its 4" in second
    labels, _ = labels_of(folder.parent / "set")
    assert sorted(labels) == list("abc")
    whole = expected(1, 2)
    whole[mask_of(Shape(NUCLEI[1].holes[0]), SIZE)] = 2
    assert all(np.array_equal(label, whole) for label in labels.values())
    assert "all.json" in load_dataset(folder.parent / "set").sources


def test_a_file_of_another_form_does_not_serve_all_images(folder, capsys):
    assert prepare_folder(folder, "--annotations", str(folder / "masks/b.geojson")) == 2
    assert "b.geojson: not a COCO file" in capsys.readouterr().err


def test_outlines_may_lie_beside_their_images(folder, capsys):
    for path in (folder / "images").iterdir():
        path.rename(folder / path.name)
    for path in (folder / "masks").iterdir():
        path.rename(folder / path.name)
    assert prepare_folder(folder, "--images", ".", "--masks", ".", "--label-kind", "instances") == 0
    assert sorted(labels_of(folder.parent / "set")[0]) == list("abcd")


def test_a_mask_and_outlines_of_one_image_are_refused(folder, capsys):
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(folder / "masks/a.png")
    assert prepare_folder(folder) == 2
    assert "a.xml: a.png has the same name in another format; keep one of them" in capsys.readouterr().err


def test_outlines_of_no_image_and_hidden_files(folder, capsys):
    put(folder / "masks/._a.xml", b"\0\5\26\7")
    put(folder / "masks/other.xml", asap(Shape(rectangle(1, 1, 5, 5))))
    assert prepare_folder(folder, "--label-kind", "instances") == 1
    lines = warnings_of(capsys)
    assert len(lines) == 1 and "other.xml: no image of this name in" in lines[0]
