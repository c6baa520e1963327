"""Slides segmented by a network that gives the directions to the centres of nuclei."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from dark_slides import TISSUE, DarkNetwork, content, polygons, save
from dark_slides import segmenter as dark_segmenter
from touching_objects import true_directions

from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.slides.segmenter import SlideSegmenter

SIDE, RADIUS = 300, 12
PAIRS = [(40, 60), (127, 128), (128, 230), (250, 122)]  # the middle of two nuclei that overlap by a bit
NEVER_SPLIT = NucleusRules(radius=50.0)


class DirectedNetwork(DarkNetwork):
    """Calls dark pixels nuclei, and reads the directions out of their green and blue."""

    def __init__(self):
        super().__init__()
        self.directions = True

    def outputs(self, x):
        towards = ((x[:, 1:] * 255 - 60) / 40).unsqueeze(1).expand(-1, 2, -1, -1, -1)
        return torch.cat([super().outputs(x), towards], 2)


def drawn(numbers: np.ndarray) -> np.ndarray:
    """Nuclei on pink tissue, whose green and blue say where their centres lie."""
    pixels = np.full((*numbers.shape, 3), TISSUE, np.uint8)
    pixels[numbers > 0, 0] = 40
    encoded = (60 + 40 * true_directions(numbers)).round().byte().permute(1, 2, 0).numpy()
    pixels[numbers > 0, 1:] = encoded[numbers > 0]
    return pixels


@pytest.fixture
def slide(tmp_path):
    """Pairs of nuclei that touch."""
    y, x = np.mgrid[:SIDE, :SIDE]
    numbers = np.zeros((SIDE, SIDE), np.int64)
    for number, (row, column) in enumerate(PAIRS):
        for place, shift in enumerate((-RADIUS + 2, RADIUS - 2)):
            disc = (y + 0.5 - row) ** 2 + (x + 0.5 - column - shift) ** 2 < RADIUS**2
            numbers[disc & (numbers == 0)] = 2 * number + place + 1
    return save(tmp_path / "a.tif", drawn(numbers), 0.25)


def segmenter(network=DirectedNetwork, **changes) -> SlideSegmenter:
    return dark_segmenter(network(), tissue="all", **{"nuclei": NEVER_SPLIT, **changes})


def test_nuclei_that_touch_are_told_apart_by_the_directions(slide, tmp_path):
    result = segmenter().run(slide, tmp_path / "out")
    assert result["objects"] == 2 * len(PAIRS) and result["dropped"] == 0
    for polygon in polygons(tmp_path / "out"):
        row, column = min(PAIRS, key=lambda pair: abs(polygon.centroid.y - pair[0]) + abs(polygon.centroid.x - pair[1]))
        assert abs(polygon.centroid.y - row) < 1 and 8 < abs(polygon.centroid.x - column) < 12
    assert segmenter(DarkNetwork).run(slide, tmp_path / "without")["objects"] == len(PAIRS), "the control"


def test_maps_hold_the_directions(slide, tmp_path):
    segmenter().run(slide, tmp_path / "out")
    maps = open_maps(tmp_path / "out" / "maps.ome.zarr", "r")
    assert maps.directions.shape == (2, SIDE, SIDE) and maps.directions.dtype == np.int8
    row, column = PAIRS[0]
    left = np.asarray(maps.directions[:, row, column - 20])
    assert left[1] == 127 and abs(int(left[0])) < 20, "to the right, towards the centre"
    segmenter(DarkNetwork).run(slide, tmp_path / "without")
    assert open_maps(tmp_path / "without" / "maps.ome.zarr", "r").directions is None


@pytest.mark.parametrize("changes", [{"block": 64}, {"block": 1024}, {"window": 256, "block": 90}])
def test_windows_and_blocks_do_not_change_them(slide, tmp_path, changes):
    segmenter().run(slide, tmp_path / "one")
    segmenter(**changes).run(slide, tmp_path / "other")
    masks = [tifffile.imread(tmp_path / name / "labels.ome.tif") for name in ("one", "other")]
    pairs = np.unique(np.stack([mask.ravel() for mask in masks]), axis=1)
    assert len(pairs.T) == 2 * len(PAIRS) + 1, "the same nuclei, whatever their numbers"
    if "window" not in changes:
        assert content(tmp_path / "one")["maps.ome.zarr/probability/0/0/0/0"]


@pytest.mark.parametrize(("given", "kept"), [(None, 4), (0.3, 5), (3.0, 3)])
def test_where_nobody_knows_the_micrometres_the_least_area_is_a_share_of_what_is_around(tmp_path, given, kept):
    y, x = np.mgrid[:160, :160]
    numbers = np.zeros((160, 160), np.int64)
    for number, (column, radius) in enumerate(zip((12, 40, 80, 115, 145), (1.5, 2.6, 4, 6, 8), strict=True), start=1):
        numbers[(y - 80.3) ** 2 + (x - column) ** 2 < radius**2] = number
    slide, rules = save(tmp_path / "b.tif", drawn(numbers)), NucleusRules(min_area=given, radius=50.0)
    result = segmenter(nuclei=rules).run(slide, tmp_path / "out")
    assert result["objects"] == kept and result["dropped"] == 5 - kept
    blocks = segmenter(nuclei=rules, block=64).run(slide, tmp_path / "blocks")
    assert [blocks[key] for key in ("objects", "dropped")] == [result[key] for key in ("objects", "dropped")]
    assert len(pd.read_csv(tmp_path / "blocks" / "objects.csv")) == kept
    left_out = [note for note in result["notes"] if "areas left out" in note]
    assert bool(left_out) == (kept < 5)
    if given is None:
        page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
        assert "10 % of the typical area around" in page
