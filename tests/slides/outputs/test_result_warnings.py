"""What may be wrong with a result is said at the end, in its files and by the exit code."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from dark_slides import CENTRES, RADIUS, draw, save, segmenter, white, with_model
from repository import BUNDLE, CONFIGS

from monai_seunet.cli import main
from monai_seunet.slides.cohort.segment import segment_all, segment_cohort
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.magnification.resolution import Resolution
from monai_seunet.slides.nuclei.rules import SMALL, SPECK, UNSURE, LeftOut, LeftOutTally, NucleusRules
from monai_seunet.slides.outputs.warnings import Found, left_out_notes, warnings_of
from monai_seunet.utils.errors import InputError

RULES = NucleusRules()


def tally(small=0, unsure=0, speck=0, area=7):
    counted = LeftOutTally()
    reasons = np.repeat([SMALL, UNSURE, SPECK], [small, unsure, speck]).astype(np.int8)
    counted.add(LeftOut(np.zeros((len(reasons), 2)), np.full(len(reasons), area), reasons))
    return counted


def found(left_out=None, mpp=0.5, origin="file", **changes):
    size = None if mpp is None else (mpp, mpp)
    rules = RULES.at_unknown() if mpp is None else RULES.at(0.25)
    given = Found(0, left_out or tally(), 12, 0.123, False, Resolution(size, origin), 0.5, RULES, rules)
    return replace(given, **changes)


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        (
            found(windows=0, tissue=0.0),
            "no_tissue",
            "0 nuclei: no tissue was found (0.0 % of the image); if there is some, grey or very pale, give "
            "--tissue all",
        ),
        (
            found(),
            "no_nuclei",
            "0 nuclei: no pixel of the tissue (12.3 % of the image) has the probability 0.5 (id threshold); the file "
            "says 0.5 µm per pixel: check --mpp, or train a model on such images (bundle/docs/train.md)",
        ),
        (
            found(tally(small=3, unsure=1), mpp=2.0, origin="given"),
            "all_too_small",
            "0 nuclei: 3 areas lie below the least area of a nucleus, 4 µm² (16 px), 1 more are of a mean probability "
            "below 0.65; half of them are at most 1.5 px of the image (3 µm) wide; 2 µm per pixel are given: check "
            "--mpp, or lower min_area (--set min_area=VALUE in µm²)",
        ),
        (
            found(tally(small=1, unsure=4), origin="objective power"),
            "all_unsure",
            "0 nuclei: 4 areas have a mean probability below 0.65, 1 more below the least area; its objective means "
            "0.5 µm per pixel: check --mpp, train a model on such images (bundle/docs/train.md), "
            "or lower min_confidence (--set min_confidence=)",
        ),
    ],
)
def test_an_empty_result_says_its_cause_and_what_to_do(given, code, text):
    assert [tuple(warning) for warning in warnings_of(given)] == [(code, text)]
    assert not left_out_notes(given), "once is enough"


def test_unknown_micrometres_are_a_warning_with_and_without_nuclei():
    assert [warning.code for warning in warnings_of(found(mpp=None, origin="unknown", objects=5))] == ["mpp_unknown"]
    empty = warnings_of(found(mpp=None, origin="unknown"))
    assert [warning.code for warning in empty] == ["no_nuclei", "mpp_unknown"]
    assert "the µm per pixel are unknown, give --mpp" in empty[0].text
    assert "the region has the probability" in warnings_of(found(region=True))[0].text


def test_micrometres_against_the_file_are_one_warning_said_once(tmp_path, capsys, caplog):
    slide = draw(tmp_path / "a.tif", mpp=0.25)
    (outcome,) = segment_cohort(segmenter(mpp=0.5), [slide], tmp_path / "out")
    said = "0.5 µm per pixel is given and used, but the file says 0.25"
    assert [warning["code"] for warning in outcome.warnings] == ["mpp_contradicted"]
    assert (capsys.readouterr().out + caplog.text).count(said) == 1
    row = next(csv.DictReader((tmp_path / "out" / "counts.csv").open(encoding="utf-8")))
    assert row["warnings"] == "mpp_contradicted" and row["remarks"].count(said) == 1
    with pytest.raises(InputError, match=r"^a\.tif: mpp_contradicted \(strict\)$"):
        segment_all(segmenter(mpp=0.5), [str(slide)], str(tmp_path / "out"), None, "false", "true")
    assert codes(segmenter(mpp=0.25).run(slide, tmp_path / "same")) == []


def test_what_is_left_out_beside_nuclei_is_a_note():
    assert not warnings_of(found(tally(small=11, speck=2, unsure=3), objects=100))
    (note,) = left_out_notes(found(tally(small=11, speck=2, unsure=3), objects=100))
    assert note == "16 areas left out"
    assert not left_out_notes(found(tally(small=10), objects=100))


@pytest.mark.parametrize(
    ("mpp", "base_per_pixel", "min_area", "text"),
    [
        (0.499, 0.25 / 0.499, None, "4 µm² (16 px)"),
        (0.25, 1.0, 20.0, "20 µm² (320 px)"),
        (2.0, 0.125, None, "4 µm² (1.0 px)"),
        (None, 1.0, 4.0, "64 px"),
        (None, 1.0, None, "10 % of the typical area around"),
    ],
)
def test_the_least_area_is_said_in_the_pixels_of_the_image(mpp, base_per_pixel, min_area, text):
    asked = NucleusRules(min_area=min_area)
    rules = asked.at_unknown() if mpp is None else asked.at(mpp * base_per_pixel)
    given = found(mpp=mpp, base_per_pixel=base_per_pixel, asked=asked, rules=rules)
    assert given.least_area == text


def test_how_to_keep_more_areas_is_said_once(tmp_path, capsys):
    slides = [draw(tmp_path / f"{name}.tif") for name in "ab"]
    pixels = tifffile.imread(slides[0])
    pixels[200:203, 60:63] = pixels[230:233, 60:63] = (60, 40, 90)
    for slide in slides:
        save(slide, pixels, 0.25)
    segment_cohort(segmenter(), slides, tmp_path / "out")
    shown = capsys.readouterr().out
    assert shown.count("; 2 areas left out\n") == 2 and shown.count("--set min_area=VALUE in µm²") == 1
    draw(tmp_path / "c.tif")
    segment_cohort(segmenter(), [tmp_path / "c.tif"], tmp_path / "out")
    assert "left out" not in capsys.readouterr().out  # the control


def test_the_usual_area_is_the_median_of_what_is_too_small():
    counted = LeftOutTally()
    for areas in ([1, 2, 3], [40, 5000]):
        counted.add(LeftOut(np.zeros((len(areas), 2)), np.array(areas), np.full(len(areas), SMALL, np.int8)))
    counted.add(LeftOut(np.zeros((9, 2)), np.full(9, 900), np.full(9, UNSURE, np.int8)))
    assert counted.usual_area == 3 and counted.total == 14
    assert counted.counts == {"small": 5, "unsure": 9, "speck": 0}
    assert LeftOutTally().usual_area == 0


def pale(made):
    """Pixels of nuclei get a probability of 0.54 to 0.58, those of the second group less."""
    made.model.network.limit.data.fill_(190 / 765 + 0.004)
    return made


def codes(result):
    return [warning["code"] for warning in result["warnings"]]


def test_all_causes_are_told_apart_on_slides(tmp_path):
    slide = draw(tmp_path / "a.tif")
    fine = segmenter().run(slide, tmp_path / "fine")
    assert codes(fine) == [] and fine["dropped_by_reason"] == {"small": 0, "unsure": 0, "speck": 0}
    small = segmenter(nuclei=NucleusRules(min_area=50.0)).run(slide, tmp_path / "small")
    assert codes(small) == ["all_too_small"] and small["dropped_by_reason"]["small"] == len(CENTRES)
    assert f"at most {2 * RADIUS} px of the image ({RADIUS / 2:.2g} µm) wide" in small["warnings"][0]["text"]
    unsure = pale(segmenter()).run(slide, tmp_path / "unsure")
    assert codes(unsure) == ["all_unsure"] and unsure["dropped_by_reason"]["unsure"] == unsure["dropped"] > 0
    blank = draw(tmp_path / "b.tif", mpp=None, centres=[])
    empty = segmenter(nuclei=NucleusRules(threshold=1.0)).run(blank, tmp_path / "b")
    assert codes(empty) == ["no_nuclei", "mpp_unknown"]
    assert codes(segmenter().run(white(tmp_path / "w.tif"), tmp_path / "w")) == ["no_tissue", "mpp_unknown"]


@pytest.mark.parametrize(
    ("eosin", "light", "expected"),
    [
        ((0.60, 0.72, 0.35), 255, ["stain_hardly_separable"]),
        ((0.65, 0.70, 0.29), 255, ["stain_not_normalised"]),
        ((0.27, 0.57, 0.78), 255, ["stain_not_he"]),
        ((0.09, 0.95, 0.28), [255, 255, 150], ["colour_cast"]),
        ((0.09, 0.95, 0.28), 255, []),
    ],
)
def test_colours_of_no_separable_h_and_e_are_a_warning(tmp_path, eosin, light, expected):
    stains = np.array([[0.65, 0.70, 0.29], eosin])
    amount = np.random.default_rng(0).choice([0.1, 1.0], (256, 256, 2)) + 0.05
    pixels = light * np.exp(-amount @ (stains / np.linalg.norm(stains, axis=1, keepdims=True)))
    slide = save(tmp_path / "a.tif", pixels.round().astype(np.uint8), 0.25)
    made = with_model(segmenter(), preprocessing=Preprocessing(CONFIGS / "stain_target.json", False))
    result = made.run(slide, tmp_path / "out")
    stain = [warning for warning in result["warnings"] if warning["code"].startswith(("stain", "colour"))]
    assert [warning["code"] for warning in stain] == expected
    assert not any("stain" in note for note in result["notes"]), "kept apart"
    if expected:
        wanted = "white balance" if expected == ["colour_cast"] else "no shipped model is made for stains other than"
        assert wanted in stain[0]["text"]
        assert stain[0]["text"] in (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")


def test_a_bright_background_is_a_warning_of_a_model_for_fluorescence(tmp_path):
    bright = draw(tmp_path / "a.tif")
    nuclei = tifffile.imread(bright).max(axis=2, keepdims=True) < 100
    dark = save(tmp_path / "b.tif", np.where(nuclei, 230, 20).astype(np.uint8).repeat(3, axis=2), 0.25)
    fluorescence = with_model(segmenter(), dark_background=True)
    assert codes(fluorescence.run(bright, tmp_path / "bright")) == ["bright_background"]
    assert "bright_background" not in codes(fluorescence.run(dark, tmp_path / "dark"))
    assert codes(segmenter().run(bright, tmp_path / "stained")) == []


def test_warnings_end_the_log_and_count_again_when_nothing_is_left_to_do(tmp_path, capsys):
    slides = [white(tmp_path / "a.tif"), draw(tmp_path / "b.tif"), draw(tmp_path / "c.tif", mpp=None)]
    first, again = [], []
    for shown in (first, again):
        outcomes = segment_cohort(segmenter(), slides, tmp_path / "out")
        shown += capsys.readouterr().out.splitlines()
    done = "3 of 3 images done; table {0}/counts.csv, page {0}/counts.html".format(tmp_path / "out")
    assert first[-5:-3] == [done, "warnings of 2 of 3 images:"]
    assert [line[:10] for line in first[-3:]] == ["  a: 0 nuc", "  a: µm pe", "  c: µm pe"]
    assert again[:3] == [f"{line}; already done, kept" for line in first[:3]]
    assert again[3:5] == [done, "already done and kept: 3 images; --overwrite makes all again"]
    assert again[5:] == first[-4:] and not any("already" in line for line in first)
    kept = json.loads((tmp_path / "out" / "a" / "result.json").read_text())
    assert kept["warnings"] == list(outcomes[0].warnings) and codes(kept) == ["no_tissue", "mpp_unknown"]
    page = (tmp_path / "out" / "a" / "summary.html").read_text(encoding="utf-8")
    assert page.index(kept["warnings"][0]["text"]) < page.index('class="numbers"')


def test_strict_makes_warnings_an_error_after_all_slides(tmp_path):
    slides = [str(white(tmp_path / "a.tif")), str(draw(tmp_path / "b.tif"))]
    segment_all(segmenter(), slides, str(tmp_path / "out"), None, "false")
    for _ in range(2):
        with pytest.raises(InputError, match=r"^a\.tif: no_tissue, mpp_unknown \(strict\)$"):
            segment_all(segmenter(), slides, str(tmp_path / "out"), None, "false", "true")
    assert (tmp_path / "out" / "b" / "result.json").exists()


@pytest.mark.parametrize(("strict", "slide", "code"), [([], "w", 0), (["--strict"], "w", 1), (["--strict"], "b", 0)])
def test_the_exit_code_of_the_command(tmp_path, monkeypatch, strict, slide, code):
    white(tmp_path / "w.tif")
    draw(tmp_path / "b.tif")
    monkeypatch.setattr("monai_seunet.slides.configure.configure_segmenter", lambda **_: (segmenter(), None))
    words = ["segment", str(tmp_path / f"{slide}.tif"), "-o", str(tmp_path / "out"), "--bundle", str(BUNDLE), *strict]
    assert main(words) == main(words) == code


def test_pixels_of_a_pale_slide(tmp_path):
    """The control: the network sees the nuclei of `pale`, and only just."""
    pixels = tifffile.imread(draw(tmp_path / "a.tif")) / 255
    dark = 40 * (190 / 765 + 0.004 - pixels.mean(2))
    assert 0.5 < 1 / (1 + np.exp(-2 * dark.max())) < 0.6
