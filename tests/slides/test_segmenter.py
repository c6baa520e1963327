"""Slides from file to results: what is there is found, whatever interrupts, and nothing is done twice."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import shapely
import tifffile
import torch
from dark_slides import CENTRES, RADIUS, TISSUE, Killed, content, draw, polygons, save, segmenter, white, with_model
from PIL import Image

from monai_seunet.fusion import fuse
from monai_seunet.networks import SEUNet
from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError

OCTAVES = {"width": 60, "num_octaves": 3, "scales_per_octave": 2}


@pytest.mark.parametrize(("mpp", "window"), [(0.25, 128), (0.25, 512), (0.5, 128)])
def test_the_nuclei_of_a_slide_are_found_where_they_are(tmp_path, mpp, window):
    result = segmenter(window=window).run(draw(tmp_path / "a b\u00e4.tif", mpp), tmp_path / "out")
    assert result["objects"] == len(CENTRES) and "(file)" in result["resolution"]
    for polygon in polygons(tmp_path / "out"):
        row, column = min(CENTRES, key=lambda c: polygon.centroid.distance(shapely.Point(c[1], c[0])))
        assert polygon.centroid.distance(shapely.Point(column, row)) < 0.6
        assert polygon.area == pytest.approx(np.pi * RADIUS**2, rel=0.12)
    maps = open_maps(tmp_path / "out" / "maps.ome.zarr", "r")
    side = round(400 * mpp / 0.25)
    assert maps.probability.shape == (1, side, side) and set(np.unique(maps.scale)) <= {0, 1, 255}
    labels = tifffile.imread(tmp_path / "out" / "labels.ome.tif")
    assert labels.shape == (400, 400) and len(np.unique(labels)) == len(CENTRES) + 1
    assert not (tmp_path / "out" / ".work").exists() and not (tmp_path / "out" / ".lock").exists()


def test_windows_and_blocks_do_not_change_the_nuclei(tmp_path):
    slide, found = draw(tmp_path / "a.tif"), []
    for number, changes in enumerate([{}, {"window": 400}, {"block": 1024}, {"block": 64, "window_batch": 1}]):
        segmenter(**changes).run(slide, tmp_path / str(number))
        found.append((tmp_path / str(number) / "objects.csv").read_text().splitlines())
    assert sorted(row.split(",", 2)[2] for row in found[0]) == sorted(row.split(",", 2)[2] for row in found[3])
    assert found[0] == found[1] and len(found[2]) == len(CENTRES) + 1


STEPS = ["run.BlockWorkers.finish", "run.write_objects", "run.move_maps", "work_folder.WorkFolder.finish"]


@pytest.mark.parametrize("stop", [0, 2, 5, *STEPS])
def test_an_interrupted_slide_goes_on_to_the_same_files(tmp_path, monkeypatch, stop):
    slide = draw(tmp_path / "a.tif")
    segmenter().run(slide, tmp_path / "whole")
    cut = segmenter()
    with monkeypatch.context() as patch:
        if isinstance(stop, int):
            heads, calls = cut.model.network.outputs, []

            def dying(x):
                calls.append(1)
                if len(calls) > stop:
                    raise Killed
                return heads(x)

            patch.setattr(cut.model.network, "outputs", dying)
        else:
            patch.setattr(f"monai_seunet.slides.{stop}", Killed.now)
        with pytest.raises(Killed):
            cut.run(slide, tmp_path / "cut")
    assert not (tmp_path / "cut" / "result.json").exists()
    segmenter().run(slide, tmp_path / "cut")
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_is_finished_is_not_done_again_and_other_options_are_refused(tmp_path):
    slide = draw(tmp_path / "a.tif")
    first = segmenter().run(slide, tmp_path / "out")
    written = (tmp_path / "out" / "objects.csv").stat().st_mtime_ns
    assert segmenter().run(slide, tmp_path / "out") == first
    assert (tmp_path / "out" / "objects.csv").stat().st_mtime_ns == written
    with pytest.raises(InputError, match=r"result.json: made with window 128, now it is 64; .*--overwrite"):
        segmenter(window=64).run(slide, tmp_path / "out")
    with pytest.raises(InputError, match=r"made with nuclei min_area None, now it is 20\.0; "):
        segmenter(nuclei=NucleusRules(min_area=20.0)).run(slide, tmp_path / "out")
    other = with_model(segmenter(), title="own.pt")
    other.model.network.register_buffer("more", torch.ones(1))
    before, now = (each.model.weights[:12] for each in (segmenter(), other))
    changed = rf"made with model DarkNetwork \(weights {before}\), now it is own\.pt \(weights {now}\); .*--overwrite"
    with pytest.raises(InputError, match=changed):
        other.run(slide, tmp_path / "out")
    assert segmenter(window=64).run(slide, tmp_path / "out", overwrite=True)["objects"] == len(CENTRES)


def test_a_slide_without_tissue_gives_an_empty_result_that_says_so(tmp_path):
    result = segmenter().run(white(tmp_path / "a.tif"), tmp_path / "out")
    assert result["objects"] == 0 and result["windows"] == 0 and result["warnings"][0]["code"] == "no_tissue"
    assert json.loads((tmp_path / "out" / "objects.geojson").read_text())["features"] == []


@pytest.mark.parametrize("kind", ["one pixel", "narrow", "alpha", "16 bits", "grey", "palette"])
def test_odd_images_are_segmented_or_empty(tmp_path, kind):
    pixels = tifffile.imread(draw(tmp_path / "a.tif"))
    slide = tmp_path / "odd.png"
    if kind == "one pixel":
        Image.fromarray(pixels[:1, :1]).save(slide)
    elif kind == "narrow":
        Image.fromarray(pixels[:, 50:71]).save(slide)
    elif kind == "alpha":
        alpha = np.full(pixels.shape[:2], 255, np.uint8)
        alpha[0, 0] = 0
        Image.fromarray(np.dstack([pixels, alpha])).save(slide)
    elif kind == "16 bits":
        slide = tmp_path / "odd.tif"
        tifffile.imwrite(slide, pixels.astype(np.uint16) * 257, photometric="rgb")
    elif kind == "grey":
        Image.fromarray(pixels).convert("L").save(slide)
    else:
        Image.fromarray(pixels).quantize(16).save(slide)
    result = segmenter().run(slide, tmp_path / "out")
    expected = {"one pixel": 0, "narrow": 2}.get(kind, len(CENTRES))
    assert result["objects"] == expected
    noted = {word for word in ("alpha", "16") if any(word in line for line in result["notes"])}
    assert noted == {"alpha": {"alpha"}, "16 bits": {"16"}}.get(kind, set()), result["notes"]
    assert json.loads((tmp_path / "out" / "objects.geojson").read_text())["type"] == "FeatureCollection"


def test_pixels_that_are_wider_than_a_nucleus_are_refused(tmp_path):
    """Of a slide's overview in a file of its own: enlarged, it would take days."""
    with pytest.raises(InputError, match=r"a\.tif: 9 µm per pixel \(given\), so it would be enlarged 18 times"):
        segmenter(network_mpp=0.5, mpp=9.0).run(draw(tmp_path / "a.tif"), tmp_path / "out")


@pytest.mark.parametrize(("options", "chosen"), [({"width": 10}, [2, 4]), (OCTAVES, [2, 4]), (OCTAVES, [5, 6])])
def test_groups_that_are_run_alone_give_what_they_give_among_all(tmp_path, options, chosen):
    slide, network = draw(tmp_path / "a.tif"), SEUNet(**options).eval()
    with torch.no_grad():
        network.head.weight.mul_(200)
        pixels = torch.from_numpy(tifffile.imread(slide)).movedim(2, 0)[None] / 255
        height, width = pixels.shape[2:]
        beyond = ((0, -height % network.stride), (0, -width % network.stride))  # slides are mirrored at their end alone
        pixels = torch.from_numpy(np.pad(pixels.numpy(), ((0, 0), (0, 0), *beyond), mode="symmetric"))
        groups = network.heads(pixels).softmax(2)[:, [group - 1 for group in chosen], :, :height, :width]
    segmenter(network, groups=chosen, window=448).run(slide, tmp_path / "out")
    maps = open_maps(tmp_path / "out" / "maps.ome.zarr", "r")
    expected = 255 * fuse(groups, "p_max")[0, 1].numpy()
    assert expected.std() > 5, "the network distinguishes pixels, so agreement means something"
    np.testing.assert_allclose(np.asarray(maps.probability[0]), expected, atol=0.51)
    assert set(np.unique(maps.scale)) == {group - 1 for group in chosen}, "groups keep their numbers"


def test_octaves_that_a_slide_is_too_small_for_are_left_out(tmp_path):
    slide = tmp_path / "small.png"
    Image.fromarray(tifffile.imread(draw(tmp_path / "a.tif"))[:100, :200]).save(slide)
    network = SEUNet(width=24, num_octaves=3, scales_per_octave=2).eval()

    def maps_of(groups, name):
        result = segmenter(network, groups=groups).run(slide, tmp_path / name)
        maps = open_maps(tmp_path / name / "maps.ome.zarr", "r")
        return result["notes"], np.asarray(maps.probability), np.asarray(maps.scale)

    (*_, note), probability, scale = maps_of(None, "all")
    assert note == "the image is too small for scale groups 5, 6, which see it reduced; the others are run"
    _, expected, expected_scale = maps_of([1, 2, 3, 4], "fine")
    assert np.array_equal(probability, expected) and np.array_equal(scale, expected_scale)
    notes, *_ = maps_of([5], "coarse")
    assert not any("too small" in line for line in notes), "somebody wants this group"


@pytest.mark.parametrize("groups", [[3], [0], [1, 1], []])
def test_groups_that_are_not_there_are_refused(tmp_path, groups):
    made = segmenter(SEUNet(width=4, scales_per_octave=2), groups=groups)
    with pytest.raises(InputError, match=r"give different numbers from 1 to 2"):
        made.run(draw(tmp_path / "a.tif"), tmp_path / "out")


@pytest.mark.parametrize("name", ["objects.csv", "tissue.png", "stain_profile.json", "summary.html"])
def test_files_of_others_are_not_replaced(tmp_path, name):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(InputError, match=rf"{name}: the file exists; give another output folder"):
        segmenter().run(slide, out)
    assert (out / name).read_text() == "precious" and [file.name for file in out.iterdir()] == [name]
    assert segmenter().run(slide, out, overwrite=True)["objects"] == len(CENTRES)


@pytest.mark.parametrize("changes", [{"window": 100}, {"window_overlap": 100}])
def test_a_mistake_in_the_options_leaves_nothing_behind(tmp_path, changes):
    slide = draw(tmp_path / "a.tif")
    with pytest.raises(InputError):
        segmenter(**changes).run(slide, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert segmenter().run(slide, tmp_path / "out")["objects"] == len(CENTRES)


def test_a_job_that_overwrites_goes_on_with_what_it_did_itself(tmp_path, monkeypatch):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    segmenter().run(slide, out)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("monai_seunet.slides.run.write_objects", Killed.now)
        segmenter().run(slide, out, overwrite=True, job="one")
    resumed, calls = segmenter(), []
    heads = resumed.model.network.outputs
    monkeypatch.setattr(resumed.model.network, "outputs", lambda x: calls.append(1) or heads(x))
    resumed.run(slide, out, overwrite=True, job="one")
    assert not calls, "all windows were there"
    written = (out / "objects.csv").stat().st_mtime_ns
    resumed.run(slide, out, overwrite=True, job="one")
    assert (out / "objects.csv").stat().st_mtime_ns == written and not calls
    resumed.run(slide, out, overwrite=True, job="another")
    assert calls


@pytest.mark.parametrize(("cores", "workers"), [({3}, 0), ({0, 1}, 1)])
def test_a_process_for_the_nuclei_is_started_where_there_is_a_core_for_it(monkeypatch, cores, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    assert SlideSegmenter(segmenter().model).used_workers == workers
    assert replace(segmenter(), workers=2).used_workers == 2


@pytest.mark.parametrize(("name", "value"), [("readers", 0), ("workers", -1), ("threads", 0)])
def test_numbers_of_processes_that_cannot_be_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value}"):
        replace(segmenter(), **{name: value})


def test_a_fusion_that_does_not_exist_is_refused():
    with pytest.raises(InputError, match="fusion is 'foo'; choose one of"):
        with_model(segmenter(), fusion="foo")


def test_more_classes_than_the_network_has_are_refused(tmp_path):
    made = with_model(segmenter(), classes=("background", "nucleus", "mitosis"))
    with pytest.raises(InputError, match="correct num_classes"):
        made.run(draw(tmp_path / "a.tif"), tmp_path / "out")


def test_what_a_killed_process_left_is_removed_and_what_was_taken_away_is_missed(tmp_path, monkeypatch):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("monai_seunet.slides.run.write_objects", Killed.now)
        segmenter().run(slide, out)
    (out / ".objects.123.geojson").write_text("half")
    segmenter().run(slide, out)
    assert not list(out.glob(".*"))
    (out / "objects.csv").unlink()
    with pytest.raises(InputError, match=r"objects\.csv: the file of a result is missing; --overwrite"):
        segmenter().run(slide, out)


def test_outlines_do_not_reach_beyond_the_slide(tmp_path):
    pixels = np.full((303, 403, 3), TISSUE, np.uint8)
    pixels[243:, 343:] = pixels[:60, :60] = (60, 40, 90)
    assert segmenter(mpp=0.125).run(save(tmp_path / "a.tif", pixels), tmp_path / "out")["objects"] == 2
    bounds = np.array([polygon.bounds for polygon in polygons(tmp_path / "out")])
    assert bounds[:, 2].max() == 403 and bounds[:, 3].max() == 303 and bounds.min() == 0
    assert "403 x 303 pixels" in (tmp_path / "out" / "summary.html").read_text()


@pytest.mark.parametrize("job", ["", "one"])
def test_a_damaged_result_can_be_overwritten(tmp_path, job):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    segmenter().run(slide, out)
    (out / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"result\.json: damaged .*--overwrite"):
        segmenter().run(slide, out, job=job)
    assert segmenter().run(slide, out, overwrite=True, job=job)["objects"] == len(CENTRES)
