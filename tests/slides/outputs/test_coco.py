"""COCO JSON follows the rules of the format, and the project's own reader finds the same nuclei in it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of
from shapely import Polygon

from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.annotations.filling import pixels_of
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.outputs.coco import write_coco
from monai_seunet.slides.outputs.geojson import outlines


def test_the_annotations_are_the_nuclei(tmp_path, blocks, geometry):
    content = json.loads(write_coco(tmp_path / "x.json", blocks, geometry).read_text(encoding="utf-8"))
    height, width = geometry.base_size
    assert content["images"] == [{"id": 1, "file_name": geometry.name, "height": height, "width": width}]
    names = {category["id"]: category["name"] for category in content["categories"]}
    found = iter(content["annotations"])
    for objects in blocks:
        for k, outline in enumerate(outlines(objects, geometry)):
            annotation = next(found)
            (ring,) = annotation["segmentation"]
            polygon = Polygon(np.reshape(ring, (-1, 2)))
            assert polygon.equals(outline) and annotation["image_id"] == 1 and annotation["iscrowd"] == 0
            x, y, w, h = annotation["bbox"]
            assert (x, y, x + w, y + h) == pytest.approx(polygon.bounds, abs=0.006)
            assert annotation["area"] == pytest.approx(polygon.area, abs=0.006)
            assert annotation["score"] == round(float(objects.confidences[k]), 4)
            assert names[annotation["category_id"]] == geometry.classes[objects.classes[k] - 1]
    assert next(found, None) is None
    assert [annotation["id"] for annotation in content["annotations"]] == list(range(1, sum(map(len, blocks)) + 1))


def test_the_reader_of_the_project_finds_the_same_pixels(tmp_path, geometry):
    mask = discs((60, 80), (20, 25, 9), (40, 60, 12))
    frame = replace(geometry, name="a.png", size=mask.shape, scale=(1.0, 1.0), classes=("nucleus",))
    path = write_coco(tmp_path / "a.json", [find_nuclei(maps_of(mask), RULES)], frame)
    again = np.zeros(mask.shape, bool)
    for annotation in read_annotations(path, "a.png").annotations:
        again[pixels_of(annotation, mask.shape)] = True
    assert np.array_equal(again, mask)


def test_no_nuclei_are_an_empty_list(tmp_path, geometry):
    content = json.loads(write_coco(tmp_path / "x.json", [], geometry).read_text())
    assert content["annotations"] == [] and len(content["categories"]) == 2
