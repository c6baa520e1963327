"""One page that holds all it needs, says the right numbers, and shows names as they are."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.page import SlideFacts, tissue_area, write_summary
from monai_seunet.slides.outputs.summary.pictures import draw_tissue
from monai_seunet.slides.outputs.summary.tally import tally_objects


@pytest.fixture(scope="module")
def facts() -> SlideFacts:
    tissue = np.zeros((15, 19), bool)
    tissue[:, :10] = True
    return SlideFacts(
        thumbnail=np.full((75, 95, 3), 200, np.uint8),
        tissue=tissue,
        resolution="0.25 µm per pixel, from the file <svs>",
        warnings=["0 nuclei & <no> tissue"],
        notes=["colour < 8 bits & more"],
        settings={"net<work>": "SEUNet", "threshold": 0.5},
        times={"network": 754.2, "files": 3.24},
        read=lambda y, x, height, width: np.full((height, width, 3), 220, np.uint8),
    )


class Page(HTMLParser):
    """Collects tags, addresses and text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def path(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[Objects], geometry: SlideGeometry, facts: SlideFacts
) -> Path:
    return write_summary(tmp_path_factory.mktemp("page") / "summary.html", blocks, geometry, facts)


def test_the_page_holds_all_it_needs(path: Path) -> None:
    page = Page(path)
    assert "script" not in page.tags and "link" not in page.tags
    assert len(page.addresses) == 6, "five figures, and one place: the slide is no larger than that"
    for address in page.addresses:
        head, content = address.split(",", 1)
        assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
        assert min(Image.open(io.BytesIO(base64.b64decode(content))).size) >= 75
    assert "url(" not in path.read_text(encoding="utf-8") and "http" not in page.text
    assert [file.name for file in path.parent.iterdir()] == ["summary.html"]


def test_it_says_the_numbers(path: Path, blocks: list[Objects], geometry: SlideGeometry, facts: SlideFacts) -> None:
    text = Page(path).text
    count = sum(map(len, blocks))
    tissue = (10 / 19) * (150 / 0.5 * 0.25e-3) * (190 / 0.4996 * 0.2502e-3)
    assert tissue_area(geometry, facts.tissue) == pytest.approx(tissue)
    assert f"{count}nuclei" in text and f"{count / tissue:,.0f}nuclei per mm² of tissue" in text
    classes = np.concatenate([objects.classes for objects in blocks])
    assert f"mitosis, late{(classes == 2).sum()} (" in text
    assert "12 min 34 s" in text and "3.2 s" in text and "380 x 300 pixels" in text


def test_warnings_stand_above_the_numbers_and_notes_below(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    places = [page.index(f'<div class="{kind}">') for kind in ("warnings", "numbers", "notes", "grid")]
    assert places == sorted(places)
    assert page[places[0] : places[1]].count("<li>") == 1 and "Warnings0 nuclei & <no> tissue" in Page(path).text


def test_names_are_shown_and_not_read_as_markup(
    tmp_path: Path, blocks: list[Objects], geometry: SlideGeometry, facts: SlideFacts
) -> None:
    evil = replace(geometry, name="<script>alert(1)</script>", classes=("<b>bold", "x & y"))
    page = Page(write_summary(tmp_path / "summary.html", blocks, evil, facts))
    assert "script" not in page.tags
    remarks = ("0 nuclei & <no> tissue", "colour < 8 bits & more")
    for shown in ("<script>alert(1)</script>", "<b>bold", "x & y", "<svs>", *remarks, "net<work>"):
        assert shown in page.text


def test_without_nuclei_micrometres_or_tissue(tmp_path: Path, unknown_frame: SlideGeometry, facts: SlideFacts) -> None:
    empty = replace(facts, tissue=np.zeros((15, 19), bool), warnings=(), notes=(), settings={}, times={})
    text = Page(write_summary(tmp_path / "summary.html", [], unknown_frame, empty)).text
    assert "\n0nuclei" in text and "To be aware" not in text and "mm²" not in text and "nan" not in text
    with_mpp = replace(unknown_frame, mpp=(0.25, 0.25))
    assert "nuclei per mm²" in Page(write_summary(tmp_path / "other.html", [], with_mpp, empty)).text


def test_the_tally_is_that_of_all_nuclei_at_once(
    tmp_path: Path, blocks: list[Objects], geometry: SlideGeometry
) -> None:
    files = ObjectFiles([part.save(tmp_path / f"{k}.npz") for k, part in enumerate(blocks)])
    tally = tally_objects(files, geometry)
    areas = np.concatenate([geometry.area(part.areas) for part in blocks])
    centres = np.concatenate([part.centroids for part in blocks])
    groups = np.concatenate([part.groups for part in blocks])
    assert tally.count == len(areas) and tally.classes.shape == (2, 3, 3)
    expected, _, _ = np.histogram2d(*centres.T, bins=[np.arange(4) * 64] * 2)
    assert np.array_equal(tally.classes.sum(axis=0), expected)
    assert np.array_equal(tally.groups.sum(axis=(1, 2)), np.bincount(groups, minlength=5)[:4]), "of four known groups"
    for share in (0.25, 0.5, 0.75):
        assert tally.area_quantile(share) == pytest.approx(np.quantile(areas, share, method="inverted_cdf"), abs=0.26)
    assert tally.confidence == pytest.approx(np.concatenate([part.confidences for part in blocks]).mean())


def test_the_outline_of_tissue_is_drawn_where_it_ends(facts: SlideFacts) -> None:
    drawn = draw_tissue(facts.thumbnail, facts.tissue)
    changed = (drawn != facts.thumbnail).any(axis=(0, 2))
    assert changed[48:52].any() and not changed[:45].any() and not changed[56:].any()
