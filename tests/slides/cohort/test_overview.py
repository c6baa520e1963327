"""A table and a page list all slides of an output folder."""

import csv
import json
import os
from pathlib import Path

import pytest
from dark_slides import CENTRES, DarkNetwork, draw, segmenter, with_model

from monai_seunet.slides.cohort.segment import segment_cohort
from monai_seunet.utils.errors import InputError


def read(output: Path) -> list[dict[str, str]]:
    with open(output / "counts.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_slide_has_a_row_also_failed_and_earlier_ones(tmp_path):
    known, unknown, broken = draw(tmp_path / "b.tif"), draw(tmp_path / "a <1>.tif", mpp=None), tmp_path / "c.tif"
    broken.touch()
    segment_cohort(segmenter(), [known], tmp_path / "out")
    (tmp_path / "out" / "foreign").mkdir()
    (tmp_path / "out" / "foreign" / "result.json").write_text("[]")
    segment_cohort(segmenter(), [unknown, broken], tmp_path / "out")
    rows = read(tmp_path / "out")
    assert [row["name"] for row in rows] == ["a <1>", "b", "c"]
    assert [row["nuclei"] for row in rows] == [str(len(CENTRES)), str(len(CENTRES)), ""]
    assert [row["warnings"] for row in rows] == ["mpp_unknown", "", "failed"]
    assert rows[0]["remarks"].startswith("µm per pixel are unknown") and rows[1]["remarks"] == ""
    assert rows[2]["remarks"].startswith("the file is empty") and rows[2]["model"] == rows[2]["weights"] == ""
    assert rows[0]["nuclei_per_mm2"] == rows[0]["mpp_x"] == "" and rows[1]["mpp_x"] == "0.25"
    tissue = float(rows[1]["tissue_mm2"])
    assert (380 * 0.25 / 1000) ** 2 <= tissue <= (400 * 0.25 / 1000) ** 2, "there are 10 pixels of glass on each side"
    assert float(rows[1]["nuclei_per_mm2"]) == pytest.approx(len(CENTRES) / tissue, abs=0.06)
    page = (tmp_path / "out" / "counts.html").read_text(encoding="utf-8")
    assert 'href="a%20%3C1%3E/summary.html"' in page and "a &lt;1&gt;" in page and f"{2 * len(CENTRES)} nuclei" in page
    assert 'href="c/' not in page and "<div><b>failed</b> the file is empty" in page


def test_a_finished_slide_keeps_its_numbers_if_a_run_refuses_it(tmp_path):
    slides, output = [draw(tmp_path / "a.tif"), draw(tmp_path / "b.tif", mpp=None)], tmp_path / "out"
    segment_cohort(segmenter(), slides, output)
    before = read(output)
    for slide in slides:
        os.utime(slide, (1, 1))  # it may have other pixels now
    segment_cohort(segmenter(), slides, output)
    after = read(output)
    for old, new in zip(before, after, strict=True):
        texts = {"warnings": "", "remarks": ""}
        assert old["nuclei"] == str(len(CENTRES)) and {**new, **texts} == {**old, **texts}
        assert new["warnings"] == f"{old['warnings']} failed".strip()
        reason, *earlier = new["remarks"].split(" | ")
        assert reason.startswith("earlier result, since this run failed: ") and "slide changed_ns" in reason
        assert " | ".join(earlier) == old["remarks"]
    page = (output / "counts.html").read_text(encoding="utf-8")
    assert f"{2 * len(CENTRES)} nuclei" in page and " | " not in page and "mpp_unknown" not in page
    assert "<div>µm per pixel are unknown" in page, "a line for each sentence"
    slides[0].write_bytes(b"")
    segment_cohort(segmenter(), slides[:1], output, overwrite=True)  # refused before anything is removed
    assert read(output)[0]["nuclei"] == str(len(CENTRES)) and (output / "a" / "result.json").exists()
    assert "the file is empty" in read(output)[0]["remarks"] and read(output)[1] == before[1]


def test_every_row_names_its_model(tmp_path):
    slides, output = [draw(tmp_path / "a.tif"), draw(tmp_path / "b.tif")], tmp_path / "out"
    made = with_model(segmenter(), title="nuclei_he")
    segment_cohort(made, slides[:1], output)
    other = with_model(segmenter(DarkNetwork().requires_grad_(False)), title="own <model>.pt")
    other.model.network.limit.fill_(0.41)
    segment_cohort(other, slides[1:], output)
    rows = read(output)
    assert [row["model"] for row in rows] == ["nuclei_he", "own <model>.pt"]
    assert [row["weights"] for row in rows] == [each.model.weights[:12] for each in (made, other)]
    assert len({row["weights"] for row in rows}) == 2
    page = (output / "counts.html").read_text(encoding="utf-8")
    assert ">nuclei_he<" in page and ">own &lt;model&gt;.pt<" in page
    summary = (output / "b" / "summary.html").read_text(encoding="utf-8")
    assert "own &lt;model&gt;.pt" in summary


def test_folders_of_older_versions_get_new_tables(tmp_path):
    slides, output = [draw(tmp_path / "a.tif"), draw(tmp_path / "b.tif")], tmp_path / "out"
    segment_cohort(segmenter(), slides[:1], output)
    result = json.loads((output / "a" / "result.json").read_text(encoding="utf-8"))
    del result["model"]
    (output / "a" / "result.json").write_text(json.dumps(result))
    header = "name,slide,nuclei,tissue_mm2,nuclei_per_mm2,mpp_y,mpp_x,areas_left_out,warnings"
    (output / "counts.csv").write_text(f"{header}\na,a.tif,9,,,,,0,\n")
    segment_cohort(segmenter(), slides, output)
    rows = read(output)
    assert [row["nuclei"] for row in rows] == [str(len(CENTRES))] * 2
    assert rows[0]["model"] == "DarkNetwork" and list(rows[0])[:3] == ["name", "slide", "model"]


def test_a_page_of_the_user_is_not_replaced(tmp_path):
    slide = draw(tmp_path / "a.tif")
    (tmp_path / "counts.html").write_text("<p>mine</p>")
    with pytest.raises(InputError, match=r"counts\.html: would be replaced"):
        segment_cohort(segmenter(), [slide], tmp_path)
    assert not (tmp_path / "a").exists() and not (tmp_path / "counts.csv").exists()


def test_a_slide_that_gets_another_name_has_one_row(tmp_path):
    (tmp_path / "in").mkdir()
    draw(tmp_path / "in" / "a.tif")
    segment_cohort(segmenter(), [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "a.tiff").write_bytes((tmp_path / "in" / "a.tif").read_bytes())
    segment_cohort(segmenter(), [tmp_path / "x" / ".." / "in"], tmp_path / "out")
    with open(tmp_path / "out" / "counts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["slide"] for row in rows] == [str(tmp_path / "in" / name) for name in ("a.tif", "a.tiff")]


def test_a_failed_slide_under_another_name_loses_no_numbers(tmp_path):
    (tmp_path / "in").mkdir()
    draw(tmp_path / "in" / "a.tif")
    segment_cohort(segmenter(), [tmp_path / "in"], tmp_path / "out")
    (tmp_path / "in" / "a.tif").write_bytes(b"")
    (tmp_path / "in" / "a.tiff").write_bytes(b"")
    segment_cohort(segmenter(), [tmp_path / "in"], tmp_path / "out")
    with open(tmp_path / "out" / "counts.csv", newline="", encoding="utf-8") as file:
        assert [row["nuclei"] for row in csv.DictReader(file)] == [str(len(CENTRES)), "", ""]


def test_a_table_of_the_user_is_not_replaced(tmp_path):
    draw(tmp_path / "a.tif")
    (tmp_path / "counts.csv").write_text("slide,mpp\na.tif,0.25\n")
    with pytest.raises(InputError, match=r"counts\.csv: would be replaced"):
        segment_cohort(segmenter(), [tmp_path / "counts.csv"], tmp_path)
    assert not (tmp_path / "a").exists()
