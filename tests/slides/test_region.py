"""A region of a slide: what is found there is what the whole slide has there."""

import csv
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from dark_slides import CENTRES, draw, segmenter
from slide_files import ArraySlide, noise

from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.slides.segmenter import FORMATS
from monai_seunet.utils.errors import InputError


def rows_of(folder):
    with (folder / "objects.csv").open() as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def outlines_of(folder):
    features = json.loads((folder / "objects.geojson").read_text())["features"]
    return {feature["id"]: feature["geometry"] for feature in features}


@pytest.mark.parametrize("mpp", [0.25, 0.5])
@pytest.mark.parametrize("region", [(50, 30, 160, 180), (0, 0, 400, 400), (128, 110, 300, 300), (-20, -20, 100, 90)])
def test_nuclei_of_a_region_are_those_of_the_slide_there(tmp_path, region, mpp):
    slide = draw(tmp_path / "a.tif", mpp)
    segmenter().run(slide, tmp_path / "whole")
    result = segmenter(region=region, window_context=32).run(slide, tmp_path / "part")
    x, y, width, height = region
    inside = [c for c in CENTRES if y <= c[0] < y + height and x <= c[1] < x + width]
    assert result["objects"] == len(inside)
    rows, whole = rows_of(tmp_path / "part"), rows_of(tmp_path / "whole")
    for row in [*rows.values(), *whole.values()]:
        del row["label"]
    assert rows.items() <= whole.items() and len(rows) == len(inside)
    assert outlines_of(tmp_path / "part").items() <= outlines_of(tmp_path / "whole").items()
    side = round(400 * mpp / 0.25)
    assert max(open_maps(tmp_path / "part/maps.ome.zarr", "r").probability.shape) <= side


def test_regions_beside_each_other_share_no_nucleus_and_miss_none(tmp_path):
    slide, found = draw(tmp_path / "a.tif"), []
    for x, end in pairwise((0, 60, 128, 200, 256, 400)):
        segmenter(region=(x, 0, end - x, 400)).run(slide, tmp_path / str(x))
        found += rows_of(tmp_path / str(x))
    assert len(found) == len(set(found)) == len(CENTRES)


def test_what_is_known_of_a_slide_is_found_once(tmp_path, monkeypatch):
    slide = draw(tmp_path / "a.tif")
    formats = tuple(name for name in FORMATS if name != "summary")
    for number in range(2):
        one = replace(segmenter(region=(50, 50, 100, 100)), cache=tmp_path / "cache", formats=formats)
        one.run(slide, tmp_path / str(number))
        assert not (tmp_path / str(number) / "tissue.png").exists()
        monkeypatch.setattr("monai_seunet.slides.planned.find_tissue", None)  # would fail now
    assert len(list((tmp_path / "cache").glob("*/tissue.png"))) == 1


@pytest.mark.parametrize("region", [(400, 0, 10, 10), (0, -50, 10, 50), (0, 0, 0, 5), (1, 2, 3)])
def test_regions_that_cannot_be_are_refused(tmp_path, region):
    with pytest.raises(InputError, match="region"):
        segmenter(region=region).run(draw(tmp_path / "a.tif"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.37, 1.7])
def test_a_part_has_the_pixels_of_the_whole(scale):
    view = SlideView(ArraySlide([noise(120, 150)]), scale)
    part = view.part(7, 11, 30, 20)
    assert np.array_equal(part.read(0, 0, 30, 20), view.read(7, 11, 30, 20))
    assert np.array_equal(part.part(3, 4, 5, 6).read(0, 0, 5, 6), view.read(10, 15, 5, 6))
    assert (part.read(-2, -2, 2, 2) == 255).all() and (part.read(30, 0, 2, 20) == 255).all()
    assert np.allclose(part.to_base(np.array([[0, 0]])), [[7 / view.scale[0], 11 / view.scale[1]]])
    with pytest.raises(ValueError, match="not within"):
        view.part(0, 0, view.height + 1, 5)
