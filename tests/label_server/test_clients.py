"""MONAI Label's own client: what it gets is what the network finds."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import shapely
import torch
from conftest import NETWORK, WIDTH, dice, filled, wait_until

from monai_seunet.config.read import content, read_config
from monai_seunet.fusion import fuse
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.transforms.stain import StainNormalize, fit_profile


@pytest.fixture(scope="module")
def direct(server, weights):
    """The segmenter of the same weights, in this process."""
    return configure_segmenter(server.workspace / "bundle", NETWORK, WIDTH, weights)[0]


def network_alone(pixels, server, weights):
    """Foreground by the bare network on the whole image: no windows, no blocks, no server."""
    config = read_config(server.workspace / "bundle", NETWORK, WIDTH, job="inference")
    network = load_weights(content(config, "network_def"), weights).eval()
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    profile = fit_profile([image])
    image = StainNormalize(content(config, "stain_target"), source=profile)(image).float() / 255
    with torch.inference_mode():
        groups = network.heads(image[None].as_subclass(torch.Tensor)).softmax(2)
        return fuse(groups, content(config, "fusion"))[0, 1] > 0.5


def test_the_mask_is_that_of_the_network(server, crops, weights):
    for crop in crops[2:5]:
        file, params = server.client.infer("nuclei", crop.name, {"min_area": 0})
        mask = read_raster(file).pixels > 0
        assert params["nuclei"] > 10 and params["resolution"].startswith("0.25")
        assert dice(mask, network_alone(crop.pixels, server, weights).numpy()) > 0.99


@pytest.mark.parametrize("name", ["photo", "volume", "scan", "ünï cödé", "pyramid"])
def test_images_of_all_formats_are_answered(server, crops, name):
    file, _params = server.client.infer("nuclei", name, {"mpp": 0.25})
    expected, _ = server.client.infer("nuclei", "ünï cödé", {})
    mask = read_raster(file)
    assert file.endswith({"volume": ".nii.gz", "scan": ".nrrd"}.get(name, ".png")) and mask.mpp is not None
    assert mask.pixels.shape == crops[0].pixels.shape[:2] and set(np.unique(mask.pixels)) == {0, 1}
    assert dice(mask.pixels > 0, read_raster(expected).pixels > 0) > (0.95 if name == "photo" else 0.9999)


def test_options_of_the_client_are_used(server, crops):
    choices = {"all": {}, "large": {"min_area": 40}, "sure": {"threshold": 0.9}, "first": {"groups": "1"}}
    counts, masks = {}, {}
    for name, params in choices.items():
        file, answer = server.client.infer("nuclei", crops[3].name, params)
        counts[name], masks[name] = answer["nuclei"], read_raster(file).pixels > 0
    assert counts["large"] < counts["all"] > counts["sure"]
    # One group may find as many nuclei as all of them; it does not find the same pixels.
    assert 0.1 < dice(masks["first"], masks["all"]) < 0.999


def test_outlines_of_all_kinds_are_the_same_nuclei(server, crops, tmp_path):
    shape = crops[3].pixels.shape[:2]
    mask = read_raster(server.client.infer("nuclei", crops[3].name, {"min_area": 10})[0]).pixels > 0
    found = {}
    for suffix in (".xml", ".json", ".geojson"):
        file, _ = server.client.infer("nuclei", crops[3].name, {"result_extension": suffix, "min_area": 10})
        assert file.endswith(suffix)
        text = open(file, encoding="utf-8").read()
        if suffix == ".xml":
            found[suffix] = [one.parts[0].outer for one in read_annotations(file).annotations if one.name == "nucleus"]
        elif suffix == ".json":
            found[suffix] = [np.array(element["points"])[:, :2] for element in json.loads(text)["elements"]]
        else:
            rings = [feature["geometry"]["coordinates"][0] for feature in json.loads(text)["features"]]
            found[suffix] = [np.array(ring)[:-1] for ring in rings]
    assert len({len(outlines) for outlines in found.values()}) == 1
    for outlines in found.values():
        assert dice(filled(outlines, shape), mask) > 0.98


@pytest.mark.slow
def test_a_region_of_a_slide_is_as_in_the_whole_slide(server, direct, tmp_path):
    x, y, width, height = 600, 500, 1024, 768
    body = {"location": [x, y], "size": [width, height], "tile_size": [512, 512], "min_poly_area": 0}
    _, answer = server.client.wsi_infer("nuclei", "slide", body, output="asap")
    (tmp_path / "region.xml").write_bytes(answer)
    region = [shapely.Polygon(one.parts[0].outer) for one in read_annotations(tmp_path / "region.xml").annotations]
    replace(direct, formats=["geojson"]).run(server.folder / "slide.svs", tmp_path / "whole")
    features = json.loads((tmp_path / "whole" / "objects.geojson").read_text())["features"]
    whole = [shapely.Polygon(feature["geometry"]["coordinates"][0]) for feature in features]
    inner = shapely.box(x + 2, y + 2, x + width - 2, y + height - 2)
    expected = [polygon for polygon in whole if inner.contains(polygon.centroid)]
    assert len(expected) > 100 and abs(len(region) - len(expected)) < 0.02 * len(expected)
    tree, lost = shapely.STRtree(region), 0
    for polygon in expected:
        shared = [polygon.intersection(region[k]).area / polygon.union(region[k]).area for k in tree.query(polygon)]
        lost += max(shared, default=0) < 0.5
    # windows lie elsewhere, and a network of a minute is of two minds about many nuclei
    assert lost <= 0.03 * len(expected), f"{lost} of {len(expected)}"
    for line in (x + 512, y + 512):  # where tiles of the client end
        assert not any(_runs_along(polygon, line, axis) for polygon in region for axis in (0, 1))


def _runs_along(polygon, line, axis):
    points = np.array(polygon.exterior.coords)
    steps = np.abs(np.diff(points, axis=0))
    on = (np.abs(points[:-1, axis] - line) < 0.01) & (np.abs(points[1:, axis] - line) < 0.01)
    return bool((steps[on, 1 - axis] > 8).any())


@pytest.mark.slow
def test_a_whole_slide_is_answered(server):
    _, answer = server.client.wsi_infer("nuclei", "slide", {"location": [0, 0], "size": [0, 0]}, output="dsa")
    assert len(json.loads(answer)["elements"]) > 500


def test_every_strategy_names_an_image_to_label(server):
    for strategy in ("first", "random", "disagreement"):
        sample = server.client.next_sample(strategy, {})
        assert sample["id"] and sample["path"].startswith(str(server.folder))
    _x, _y, width, height = sample["bbox"]
    assert sample["disagreement"] > 0 and width > 0 and height > 0
    start = time.monotonic()
    assert server.client.next_sample("disagreement", {})["id"] == sample["id"]
    assert time.monotonic() - start < 5, "it is known by now"


@pytest.mark.slow
def test_all_images_at_once(server):
    answer = server.post("/batch/infer/nuclei?images=all")
    assert answer.ok
    wait_until(lambda: server.get("/batch/infer").json()["status"] not in ("SUBMITTED", "RUNNING"), 400, server.log)
    status = server.get("/batch/infer").json()
    assert status["status"] == "DONE", status["details"]
    assert any("broken" in line for line in status["details"])
    wait_until(lambda: server.get("/datastore/").json()["label_tags"].get("original", 0) >= 10, 20)
    file = server.client.download_label("volume", "original")
    assert file.endswith(".nii.gz") and read_raster(file).pixels.max() == 1
    assert read_annotations(server.client.download_label("slide", "original")).annotations
