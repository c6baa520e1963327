"""Slides from file to results: what is there is found, whatever interrupts, and nothing is done twice."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
import torch
from PIL import Image
from torch import nn

from monai_seunet.errors import InputError
from monai_seunet.fusion import fuse
from monai_seunet.networks import SEUNet
from monai_seunet.slides import slide_run
from monai_seunet.slides.cases import find_cases
from monai_seunet.slides.job import segment_all, segment_cohort
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.slides.preparation import Preparation
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.slides.work_folder import locked

CENTRES = [(40, 60), (40, 90), (127, 128), (129, 200), (200, 128), (255, 256), (300, 60), (350, 350), (180, 320)]
RADIUS = 9


class DarkNetwork(nn.Module):
    """Two scale groups that call dark pixels nuclei, the second one in the right half of a window only."""

    in_channels, stride, num_scales = 3, 16, 2

    def __init__(self):
        super().__init__()
        self.limit = nn.Parameter(torch.tensor(0.4))

    def heads(self, x):
        dark = 40 * (self.limit - x.mean(1))
        return torch.stack([torch.stack([-dark, dark], 1), torch.stack([-dark, 0.5 * dark], 1)], 1)


def draw(path: Path, mpp: float | None = 0.25, side: int = 400, centres=CENTRES) -> Path:
    """Pink tissue with dark nuclei on white glass."""
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), 245, np.uint8)
    pixels[10 : side - 10, 10 : side - 10] = (225, 170, 200)
    for row, column in centres:
        pixels[(y + 0.5 - row) ** 2 + (x + 0.5 - column) ** 2 < RADIUS**2] = (60, 40, 90)
    options = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), **options)
    return path


def segmenter(**changes) -> SlideSegmenter:
    given = {"window": 128, "overlap": 32, "context": 16, "batch": 3, "block": 128} | changes
    preparation = Preparation(stain_target=None, standardise=False)
    return SlideSegmenter(DarkNetwork().eval(), preparation, SlideOptions(**given), "p_max", workers=0)


def content(folder: Path) -> dict[str, object]:
    """All results as bytes, without the times."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
    found["result.json"] = {k: v for k, v in json.loads(found["result.json"]).items() if k not in ("seconds", "job")}
    found.pop("summary.html", None)
    return found


def polygons(folder: Path) -> list[shapely.Polygon]:
    features = json.loads((folder / "objects.geojson").read_text())["features"]
    return [shapely.geometry.shape(feature["geometry"]) for feature in features]


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
    assert labels.shape == (side, side) and len(np.unique(labels)) == len(CENTRES) + 1
    assert not (tmp_path / "out" / ".work").exists() and not (tmp_path / "out" / ".lock").exists()


def test_windows_and_blocks_do_not_change_the_nuclei(tmp_path):
    slide, found = draw(tmp_path / "a.tif"), []
    for number, changes in enumerate([{}, {"window": 400 // 16 * 16}, {"block": 1024}, {"block": 64, "batch": 1}]):
        segmenter(**changes).run(slide, tmp_path / str(number))
        found.append((tmp_path / str(number) / "objects.csv").read_text().splitlines())
    assert sorted(row.split(",", 2)[2] for row in found[0]) == sorted(row.split(",", 2)[2] for row in found[3])
    assert found[0] == found[1] and len(found[2]) == len(CENTRES) + 1


class Killed(BaseException):
    pass


@pytest.mark.parametrize("stop", [0, 2, 5, "blocks", "write_objects", "move_maps", "finish"])
def test_an_interrupted_slide_goes_on_to_the_same_files(tmp_path, monkeypatch, stop):
    slide = draw(tmp_path / "a.tif")
    segmenter().run(slide, tmp_path / "whole")
    cut = segmenter()
    with monkeypatch.context() as patch:
        if isinstance(stop, int):
            heads, calls = cut.network.heads, []

            def dying(x):
                calls.append(1)
                if len(calls) > stop:
                    raise Killed
                return heads(x)

            patch.setattr(cut.network, "heads", dying)
        elif stop == "blocks":
            patch.setattr(slide_run.BlockWorkers, "finish", lambda *a: (_ for _ in ()).throw(Killed))
        elif stop == "finish":
            patch.setattr("monai_seunet.slides.work_folder.WorkFolder.finish", lambda *a: (_ for _ in ()).throw(Killed))
        else:
            patch.setattr(slide_run, stop, lambda *a: (_ for _ in ()).throw(Killed))
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
    assert segmenter(window=64).run(slide, tmp_path / "out", overwrite=True)["objects"] == len(CENTRES)


def test_a_slide_without_tissue_gives_an_empty_result_that_says_so(tmp_path):
    slide = tmp_path / "white.tif"
    tifffile.imwrite(slide, np.full((200, 300, 3), 250, np.uint8), photometric="rgb", tile=(128, 128))
    result = segmenter().run(slide, tmp_path / "out")
    assert result["objects"] == 0 and result["windows"] == 0 and "no tissue was found" in result["notes"][-1]
    assert json.loads((tmp_path / "out" / "objects.geojson").read_text())["features"] == []


def pixels_of(slide):
    return tifffile.imread(slide)


@pytest.mark.parametrize(
    ("kind", "note"),
    [("one pixel", ""), ("narrow", ""), ("alpha", "alpha"), ("16 bits", "16"), ("grey", ""), ("palette", "")],
)
def test_odd_images_are_segmented_or_empty(tmp_path, kind, note):
    pixels = pixels_of(draw(tmp_path / "a.tif"))
    slide = tmp_path / "odd.png"
    if kind == "one pixel":
        Image.fromarray(pixels[:1, :1]).save(slide)
    elif kind == "narrow":
        Image.fromarray(pixels[:, 50:71]).save(slide)
    elif kind == "alpha":
        Image.fromarray(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])).save(slide)
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
    assert any(note in line for line in result["notes"]) or not note
    assert json.loads((tmp_path / "out" / "objects.geojson").read_text())["type"] == "FeatureCollection"


def test_what_fails_does_not_stop_the_others(tmp_path, capsys):
    (tmp_path / "slides").mkdir()
    for name in ("a.tif", "c.tif"):
        draw(tmp_path / "slides" / name)
    (tmp_path / "slides" / "b.tif").write_bytes((tmp_path / "slides" / "a.tif").read_bytes()[:2000])
    outcomes = segment_cohort(segmenter(), [tmp_path / "slides"], tmp_path / "out")
    assert [outcome.result is None for outcome in outcomes] == [False, True, False]
    shown = capsys.readouterr().out
    assert "failed: " in shown and "b.tif" in shown and "2 of 3 slides are done" in shown
    assert "not done: b: " in shown.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c"]
    with pytest.raises(InputError, match=r"b\.tif: .*b\.tif"):
        segment_all(segmenter(), str(tmp_path / "slides"), str(tmp_path / "out"), None, "false")


def test_a_table_names_slides_and_their_resolution(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        draw(tmp_path / folder / "a.tif", mpp=None)
    (tmp_path / "t.csv").write_text("slide,mpp,name\nx/a.tif,0.25,first\ny/a.tif,,\n")
    cases = find_cases([tmp_path / "t.csv"])
    assert [(case.name, case.mpp) for case in cases] == [("first", 0.25), ("a", None)]
    assert [case.name for case in find_cases([tmp_path / "x", tmp_path / "y"])] == ["x_a", "y_a"]
    both = find_cases([tmp_path / "x" / "a.tif", tmp_path / "x" / "a.svs"])
    assert [case.name for case in both] == ["x_a.tif", "x_a.svs"]
    outcomes = segment_cohort(segmenter(), [tmp_path / "t.csv"], tmp_path / "out")
    assert ["(given)" in o.result["resolution"] for o in outcomes] == [True, False]
    assert "unknown" in outcomes[1].result["resolution"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file\na.tif\n", "needs a header with the column slide"),
        ("slide,mpp\na.tif,fine\n", "line 2: mpp is 'fine'"),
        ("slide\n\n", "needs a header"),
        ("slide,name\na.tif,x\nb.tif,x\n", "would write to one folder, x; give them names"),
        ("slide,name\na.tif,..\n", r"line 2: name is '\.\.'; give one without folders"),
        ("slide,name\na.tif,../b\n", "give one without folders"),
        ("slide,mpp\nx/a.tif,1\nx/a.tif,2\n", "would write to one folder, x_a.tif; give them names in a table"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, table, message):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        find_cases([tmp_path / "t.csv"])


@pytest.mark.slow
def test_a_cluster_gives_the_same_files(tmp_path):
    distributed = pytest.importorskip("distributed")
    (tmp_path / "slides").mkdir()
    for number in range(3):
        draw(tmp_path / "slides" / f"{number}.tif", centres=CENTRES[number:])
    segment_cohort(segmenter(), [tmp_path / "slides"], tmp_path / "here")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        segment_cohort(segmenter(), [tmp_path / "slides"], tmp_path / "there", cluster.scheduler_address)
    for number in range(3):
        assert content(tmp_path / "there" / str(number)) == content(tmp_path / "here" / str(number))


def test_groups_that_are_run_alone_give_what_they_give_among_all(tmp_path):
    slide, network = draw(tmp_path / "a.tif"), SEUNet(width=10).eval()
    with torch.no_grad():
        network.head.weight.mul_(200)
        pixels = torch.from_numpy(pixels_of(slide)).movedim(2, 0)[None] / 255
        groups = network.heads(pixels).softmax(2)[:, [1, 3]]
    made = segmenter(groups=[2, 4], window=400)
    made.network = network
    made.run(slide, tmp_path / "out")
    maps = open_maps(tmp_path / "out" / "maps.ome.zarr", "r")
    expected = 255 * fuse(groups, "p_max")[0, 1].numpy()
    assert expected.std() > 5, "the network distinguishes pixels, so that agreement means something"
    np.testing.assert_allclose(np.asarray(maps.probability[0]), expected, atol=0.51)
    assert set(np.unique(maps.scale)) == {1, 3}, "groups keep their numbers"


@pytest.mark.parametrize("groups", [[3], [0], [1, 1], []])
def test_groups_that_are_not_there_are_refused(tmp_path, groups):
    made = segmenter(groups=groups)
    made.network = SEUNet(width=4, num_scales=2).eval()
    with pytest.raises(InputError, match=r"give different numbers from 1 to 2"):
        made.run(draw(tmp_path / "a.tif"), tmp_path / "out")


def test_a_disk_that_is_full_is_said_and_nothing_finished_is_lost(tmp_path, monkeypatch, capsys):
    slides = [draw(tmp_path / name) for name in ("a.tif", "b.tif")]
    segment_cohort(segmenter(), slides[:1], tmp_path / "out")
    before = content(tmp_path / "out" / "a")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("monai_seunet.slides.window_row.WindowRow.write", full)
        outcomes = segment_cohort(segmenter(), slides, tmp_path / "out")
    assert [outcome.result is None for outcome in outcomes] == [False, True]
    assert "b: failed: No space left on device; free some space and go on" in capsys.readouterr().out
    assert content(tmp_path / "out" / "a") == before
    assert all(outcome.result for outcome in segment_cohort(segmenter(), slides, tmp_path / "out"))


def test_two_jobs_do_not_work_in_one_folder(tmp_path):
    slide = draw(tmp_path / "a.tif")
    with locked(tmp_path / "out" / "a"):
        (outcome,) = segment_cohort(segmenter(), [slide], tmp_path / "out")
    assert outcome.result is None and f"process {os.getpid()} on" in outcome.problem
    (outcome,) = segment_cohort(segmenter(), [slide], tmp_path / "out")
    assert outcome.result is not None


@pytest.mark.parametrize("name", ["objects.csv", "tissue.png", "stain_profile.json", "summary.html"])
def test_files_of_others_are_not_replaced(tmp_path, name):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    out.mkdir()
    (out / name).write_text("precious")
    with pytest.raises(InputError, match=rf"{name}: is no result of a job that goes on here"):
        segmenter().run(slide, out)
    assert (out / name).read_text() == "precious" and [file.name for file in out.iterdir()] == [name]
    assert segmenter().run(slide, out, overwrite=True)["objects"] == len(CENTRES)


@pytest.mark.parametrize("changes", [{"window": 100}, {"overlap": 100}])
def test_a_mistake_in_the_options_leaves_nothing_behind(tmp_path, changes):
    slide = draw(tmp_path / "a.tif")
    with pytest.raises(InputError):
        segmenter(**changes).run(slide, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert segmenter().run(slide, tmp_path / "out")["objects"] == len(CENTRES)


def test_a_job_that_overwrites_goes_on_with_what_it_did_itself(tmp_path, monkeypatch):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    segmenter().run(slide, out)
    cut = segmenter()
    with monkeypatch.context() as patch:
        patch.setattr(slide_run, "write_objects", lambda *a: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            cut.run(slide, out, overwrite=True, job="one")
    resumed, calls = segmenter(), []
    heads = resumed.network.heads
    monkeypatch.setattr(resumed.network, "heads", lambda x: calls.append(1) or heads(x))
    resumed.run(slide, out, overwrite=True, job="one")
    assert not calls, "all windows were there"
    written = (out / "objects.csv").stat().st_mtime_ns
    resumed.run(slide, out, overwrite=True, job="one")
    assert (out / "objects.csv").stat().st_mtime_ns == written and not calls
    resumed.run(slide, out, overwrite=True, job="another")
    assert calls


def test_headers_may_be_written_in_any_way(tmp_path):
    draw(tmp_path / "a.tif", mpp=None)
    (tmp_path / "t.csv").write_text("Slide, MPP\na.tif,0.5\n")
    (case,) = find_cases([tmp_path / "t.csv"])
    assert case.mpp == 0.5 and case.path.is_absolute()
    made = segmenter(source_power=20)
    assert "0.25 µm" in made.run(case.path, tmp_path / "out", mpp=0.25)["resolution"], "the table stands above"


@pytest.mark.parametrize("changes", [{"readers": 0}, {"workers": -1}, {"fusion": "foo"}, {"threads": 0}])
def test_choices_that_cannot_be_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        SlideSegmenter(DarkNetwork(), Preparation(None, False), SlideOptions(), **({"fusion": "p_max"} | changes))


def test_more_classes_than_the_network_has_are_refused(tmp_path):
    made = segmenter()
    made.classes = ("background", "nucleus", "mitosis")
    with pytest.raises(InputError, match="correct num_classes"):
        made.run(draw(tmp_path / "a.tif"), tmp_path / "out")


def test_what_a_killed_process_left_is_removed_and_what_was_taken_away_is_missed(tmp_path, monkeypatch):
    slide, out = draw(tmp_path / "a.tif"), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(slide_run, "write_objects", lambda *a: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            segmenter().run(slide, out)
    (out / ".objects.123.geojson").write_text("half")
    segmenter().run(slide, out)
    assert not list(out.glob(".*"))
    (out / "objects.csv").unlink()
    with pytest.raises(InputError, match=r"objects\.csv: was made and is missing; --overwrite"):
        segmenter().run(slide, out)


def test_outlines_do_not_reach_beyond_the_slide(tmp_path):
    pixels = np.full((303, 403, 3), (225, 170, 200), np.uint8)
    pixels[243:, 343:] = pixels[:60, :60] = (60, 40, 90)
    slide = tmp_path / "a.tif"
    tifffile.imwrite(slide, pixels, photometric="rgb", tile=(128, 128))
    assert segmenter(source_mpp=0.125).run(slide, tmp_path / "out")["objects"] == 2
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
