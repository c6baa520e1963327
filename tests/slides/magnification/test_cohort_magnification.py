"""A cohort's µm per pixel are compared with an estimate, and what contradicts is flagged."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.data import immunohistochemistry

from monai_seunet.cli import main
from monai_seunet.slides.magnification import cohort as cohort_module
from monai_seunet.slides.magnification.cohort import (
    Magnification,
    divide_by_common_factor,
    flag_of,
    write_magnification_page,
    write_magnifications,
)
from monai_seunet.writers.raster import write_raster

ESTIMATE = {"estimated": 0.26, "low": 0.17, "high": 0.4, "objective": 40.0, "probability": 0.9}


@pytest.mark.parametrize(
    ("found", "flag"),
    [
        (Magnification("a", 0.25, "file", **ESTIMATE), ""),
        (Magnification("a", 1.0, "file", **ESTIMATE), "contradicts the nuclei, which look like 40x"),
        (Magnification("a", None, "unknown", **ESTIMATE), "the file states nothing; 40x with a probability of 90%"),
        (Magnification("a", 0.25, "file", other=0.5, **ESTIMATE), "the file also states 0.5"),
        (Magnification("a", 0.25, "file"), "no nuclei to estimate from"),
    ],
)
def test_what_contradicts_or_is_missing_is_flagged(found, flag):
    assert flag_of(found) == flag


def cohort(stated, estimated):
    return [
        (Magnification(f"{n}", value, "file", None, estimated, estimated / 1.6, estimated * 1.6, 40.0, 0.9), None)
        for n, value in enumerate(stated)
    ]


def test_large_nuclei_of_a_laboratory_are_no_contradiction():
    found = divide_by_common_factor(cohort([0.2] * 8 + [0.4, None], 0.24) + cohort([0.2, 0.8], 0.24))
    assert [round(each.estimated, 3) for each, _ in found] == [0.2] * 12
    assert {each.divided_by for each, _ in found} == {1.2}
    flags = [each.flag for each, _ in found]
    assert flags[:8] == [""] * 8 and flags[10] == ""
    assert "contradicts" in flags[8] and "states nothing" in flags[9] and "contradicts" in flags[11]


def test_the_log_has_the_flags_of_the_table(monkeypatch, capsys):
    narrow = {"estimated": 0.24, "low": 0.22, "high": 0.26, "objective": 40.0, "probability": 0.9}
    stated = {f"{n}.svs": 0.2 for n in range(11)} | {"wrong.svs": 0.4}

    def measure(model, calibration, path):
        found = Magnification(str(path), stated[path.name], "file", **narrow)
        return found._replace(flag=flag_of(found)), None

    assert all(measure(None, None, Path("x") / name)[0].flag for name in stated), "all differ before the division"
    monkeypatch.setattr(cohort_module, "measure_magnification", measure)
    model = SimpleNamespace(network=torch.nn.Identity(), used_device=torch.device("cpu"))
    found = cohort_module.measure_cohort(model, None, [Path("x") / name for name in stated])
    lines = [line for line in capsys.readouterr().out.splitlines() if ".svs: " in line]
    assert lines == [f"{Path(each.slide).name}: {each.describe()}" for each, _ in found]
    assert [line for line in lines if "contradicts" in line] == lines[-1:] and "wrong.svs" in lines[-1]


@pytest.mark.parametrize("stated", [[0.5] * 12, [0.2] * 9])
def test_a_cohort_that_lies_or_is_small_keeps_its_estimates(stated):
    found = cohort(stated, 0.24)
    assert divide_by_common_factor(found) == found


def test_the_page_shows_flagged_slides_first(tmp_path):
    found = [Magnification(f"{name}.svs", 0.25, "file", flag=flag) for name, flag in (("a", ""), ("b", "look <here>"))]
    picture = np.zeros((4, 6, 3), np.uint8)
    page = write_magnification_page(tmp_path / "a.html", [(each, picture) for each in found], "Errors.").read_text()
    assert (
        page.index("b.svs") < page.index("a.svs")
        and "look &lt;here&gt;" in page
        and '<p class="lead">1 of 2 images needs a look; it comes first. Errors.</p>' in page
    )
    assert "divided" not in page, "the control"
    rows = list(csv.DictReader(write_magnifications(tmp_path / "a.csv", found).open()))
    assert [row["stated_mpp"] for row in rows] == ["0.25", "0.25"] and rows[0]["estimated_mpp"] == ""


@pytest.mark.parametrize(
    ("flags", "lead"),
    [
        ([""], "None of 1 image needs a look. Errors."),
        (["a", "", "b"], "2 of 3 images need a look; they come first. Errors."),
    ],
)
def test_the_page_begins_with_sentences(tmp_path, flags, lead):
    found = [(Magnification("a.svs", 0.25, "file", divided_by=1.2, flag=flag), None) for flag in flags]
    page = write_magnification_page(tmp_path / "a.html", found, "Errors.").read_text()
    assert f'<p class="lead">{lead} All estimates are divided by 1.20, the median of estimated over stated' in page


@pytest.mark.slow
def test_the_command_goes_on_after_a_bad_file(tmp_path, capsys):
    write_raster(tmp_path / "ihc.png", immunohistochemistry())
    write_raster(tmp_path / "grey.png", immunohistochemistry()[:, :, 0])
    (tmp_path / "empty.tif").touch()
    assert main(["mpp", str(tmp_path), "--model", "nuclei_he", "-o", str(tmp_path / "out.csv")]) == 1
    empty, grey, stained = csv.DictReader((tmp_path / "out.csv").open())
    assert empty["flag"] == "the file is empty; copy it again"
    assert grey["flag"].startswith("a grey image, but the network takes stained tissue in colour; no shipped model")
    assert 0.1 < float(stained["low_mpp"]) < float(stained["estimated_mpp"]) < float(stained["high_mpp"]) < 3
    assert stained["flag"].startswith("the file states nothing; ")
    assert "3 of 3 images need a look" in capsys.readouterr().out
