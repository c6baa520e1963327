"""`prepare` takes outlines in every form, and never makes an empty label of a file without one."""

import gzip
import json
import math

import numpy as np
import pytest
from annotated_images import NUCLEI, REGIONS, RULERS, expected, labels_of, put
from annotation_files import SIZE, Shape, asap, coco, collection, counts_of, imagescope, layer, mask_of, polygon, region
from layouts import prepare, warnings_of, write_image
from slide_files import noise


@pytest.fixture
def monuseg(tmp_path):
    """Images of MoNuSeg's layout, one for each form of outlines."""
    files = {
        "TCGA-AA-0001.xml": imagescope(layer(*REGIONS)),
        "TCGA-AA-0002.geojson": collection(*map(polygon, NUCLEI)),
        "TCGA-AA-0003.geojson.gz": gzip.compress(json.dumps([polygon(one) for one in NUCLEI]).encode()),
        "TCGA-AA-0004.json": coco(
            [{"segmentation": {"counts": counts_of(mask_of(one)), "size": list(SIZE)}} for one in NUCLEI],
            [{"id": 1, "file_name": "TCGA-AA-0004.tif", "height": 40, "width": 60}],
        ),
    }
    for name, content in files.items():
        put(tmp_path / "src/Annotations" / name, content)
        write_image(tmp_path / f"src/Tissue Images/{name.split('.')[0]}.tif", noise(*SIZE))
    return tmp_path / "src"


def test_all_forms_beside_images_of_monuseg(monuseg, capsys):
    assert prepare("monuseg", monuseg) == 0, capsys.readouterr().err
    labels, items = labels_of(monuseg)
    assert sorted(labels) == [f"TCGA-AA-000{i}" for i in (1, 2, 3, 4)]
    assert all(np.array_equal(label, expected(1, 2)) for label in labels.values())
    assert {item["label_source"] for item in items.values()} == {"outlines"}


PLANTED = [(40, 40, 10), (40, 120, 12), (120, 40, 14), (180, 180, 16)]


def ring(y, x, radius):
    return [(round(x + radius * math.cos(t * 0.26), 2), round(y + radius * math.sin(t * 0.26), 2)) for t in range(24)]


@pytest.fixture
def odd(tmp_path):
    """MoNuSeg's layout with the form of ASAP, no outline at all, a hole, rulers alone, and nothing to skip."""
    texts = {
        "asap": asap(*(Shape(ring(*disc)) for disc in PLANTED)),
        "none": "<Annotations/>",
        "hole": imagescope(layer(region(ring(128, 128, 60)), region(ring(128, 128, 30), negative=1))),
        "rulers": RULERS,
        "coco": coco([], [{"id": 1, "file_name": "TCGA-AA-coco.tif"}]),
        "empty": collection(),
    }
    for name, text in texts.items():
        put(tmp_path / f"src/Annotations/TCGA-AA-{name}.{'xml' if text[0] == '<' else 'json'}", text)
        write_image(tmp_path / f"src/Tissue Images/TCGA-AA-{name}.tif", noise(256, 256))
    return tmp_path / "src"


def test_no_outline_is_said_by_name_and_the_image_is_left_out(odd, capsys):
    assert prepare("monuseg", odd) == 1
    told = dict.fromkeys(["coco.json", "empty.json", "none.xml"], "holds no outline")
    told["rulers.xml"] = "holds 12 rulers, no outline"
    for line, (name, words) in zip(warnings_of(capsys), told.items(), strict=True):
        assert f"TCGA-AA-{name}: {words}; the image is skipped" in line
    assert sorted(labels_of(odd)[0]) == ["TCGA-AA-asap", "TCGA-AA-hole"]


def test_the_form_of_asap_gives_its_nuclei_and_a_hole_is_none(odd):
    prepare("monuseg", odd)
    labels, _ = labels_of(odd)
    y, x = np.mgrid[:256, :256] + 0.5
    discs = np.zeros((256, 256), int)
    for number, (row, column, radius) in enumerate(PLANTED, 1):
        discs[np.hypot(y - row, x - column) <= radius] = number
    assert (labels["TCGA-AA-asap"] != discs).sum() < 0.04 * (discs > 0).sum()
    assert [labels["TCGA-AA-asap"][row, column] for row, column, _ in PLANTED] == [1, 2, 3, 4]
    hole = labels["TCGA-AA-hole"]
    shape = Shape(ring(128, 128, 60), [ring(128, 128, 30)])
    assert np.array_equal(hole, mask_of(shape, (256, 256), 0.0)) and hole.sum() == 8381  # of 24 corners: 8483 - 1.2 %
    assert hole[128, 128] == 0 and set(np.unique(hole)) == {0, 1}
