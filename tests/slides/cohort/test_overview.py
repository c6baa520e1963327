"""A table and a page list all slides of an output folder."""

import csv

import pytest
from dark_slides import CENTRES, draw, segmenter

from monai_seunet.slides.cohort.segment import segment_cohort
from monai_seunet.utils.errors import InputError


def test_every_slide_has_a_row_also_failed_and_earlier_ones(tmp_path):
    known, unknown, broken = draw(tmp_path / "b.tif"), draw(tmp_path / "a <1>.tif", mpp=None), tmp_path / "c.tif"
    broken.touch()
    segment_cohort(segmenter(), [known], tmp_path / "out")
    (tmp_path / "out" / "foreign").mkdir()
    (tmp_path / "out" / "foreign" / "result.json").write_text("[]")
    segment_cohort(segmenter(), [unknown, broken], tmp_path / "out")
    with open(tmp_path / "out" / "counts.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a <1>", "b", "c"]
    assert [row["nuclei"] for row in rows] == [str(len(CENTRES)), str(len(CENTRES)), ""]
    assert [row["warnings"] for row in rows[:2]] == ["mpp_unknown", ""] and rows[2]["warnings"].startswith(
        "the file is empty"
    )
    assert rows[0]["nuclei_per_mm2"] == rows[0]["mpp_x"] == "" and rows[1]["mpp_x"] == "0.25"
    tissue = float(rows[1]["tissue_mm2"])
    assert (380 * 0.25 / 1000) ** 2 <= tissue <= (400 * 0.25 / 1000) ** 2, "there are 10 pixels of glass on each side"
    assert float(rows[1]["nuclei_per_mm2"]) == pytest.approx(len(CENTRES) / tissue, abs=0.06)
    page = (tmp_path / "out" / "counts.html").read_text(encoding="utf-8")
    assert 'href="a%20%3C1%3E/summary.html"' in page and "a &lt;1&gt;" in page and f"{2 * len(CENTRES)} nuclei" in page
    assert 'href="c/' not in page


def test_a_table_of_the_user_is_not_replaced(tmp_path):
    draw(tmp_path / "a.tif")
    (tmp_path / "counts.csv").write_text("slide,mpp\na.tif,0.25\n")
    with pytest.raises(InputError, match=r"counts\.csv: would be replaced"):
        segment_cohort(segmenter(), [tmp_path / "counts.csv"], tmp_path)
    assert not (tmp_path / "a").exists()
