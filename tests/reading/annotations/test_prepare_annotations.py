"""`prepare` takes outlines in every form, and never makes an empty label of a file without one."""

import gzip
import json
import math

import numpy as np
import pytest
from annotated_images import NUCLEI, REGIONS, RULERS, SIZE, expected, labels_of, put, warnings_of
from annotation_files import (
    Shape,
    asap,
    coco,
    collection,
    counts_of,
    imagescope,
    layer,
    mask_of,
    polygon,
    region,
    write_noise,
)

from monai_seunet.cli import main


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
