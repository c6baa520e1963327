"""One page that holds all it needs, says the right numbers, and shows names and close-ups as they are."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of
from PIL import Image

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, rgb
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import ObjectFiles
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.closeups import ENLARGED, SIDE, choose_places, draw_place
from monai_seunet.slides.outputs.summary.page import SlideFacts, tissue_area, write_summary
from monai_seunet.slides.outputs.summary.pictures import draw_tissue
from monai_seunet.slides.outputs.summary.tally import tally_objects

SIZE = (3000, 2000)
CROWD = [(2500 + 40 * row, 1500 + 40 * column, 9) for row in range(6) for column in range(6)]
LONELY = [(300, 300, 9), (900, 1700, 9), (1500, 200, 9), (2000, 1000, 9), (700, 900, 9)]


@pytest.fixture(scope="module")
def facts() -> SlideFacts:
    return SlideFacts(
        thumbnail=np.full((75, 95, 3), 200, np.uint8),
        tissue=np.tile(np.arange(19) < 10, (15, 1)),
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
def path(tmp_path_factory, blocks, geometry, facts) -> Path:
    return write_summary(tmp_path_factory.mktemp("page") / "summary.html", blocks, geometry, facts)


def test_the_page_holds_all_it_needs(path):
    page = Page(path)
    assert "script" not in page.tags and "link" not in page.tags
    assert len(page.addresses) == 6, "five figures, and one place: the slide is no larger than that"
    for address in page.addresses:
        head, content = address.split(",", 1)
        assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
        assert min(Image.open(io.BytesIO(base64.b64decode(content))).size) >= 75
    assert "url(" not in path.read_text(encoding="utf-8") and "http" not in page.text
    assert [file.name for file in path.parent.iterdir()] == ["summary.html"]


def test_it_says_the_numbers(path, blocks, geometry, facts):
    text = Page(path).text
    count = sum(map(len, blocks))
    tissue = (10 / 19) * (150 / 0.5 * 0.25e-3) * (190 / 0.4996 * 0.2502e-3)
    assert tissue_area(geometry, facts.tissue) == pytest.approx(tissue)
    assert f"{count}nuclei" in text and f"{count / tissue:,.0f}nuclei per mm² of tissue" in text
    classes = np.concatenate([objects.classes for objects in blocks])
    assert f"mitosis, late{(classes == 2).sum()} (" in text
    assert "12 min 34 s" in text and "3.2 s" in text and "380 x 300 pixels" in text


def test_sigma_is_explained_where_it_is_shown(path, tmp_path, blocks, geometry, facts):
    sentence = "σ is the width of the filters of a scale group"
    assert sentence in Page(path).text
    plain = replace(geometry, sigmas=())
    assert "σ" not in Page(write_summary(tmp_path / "summary.html", blocks, plain, facts)).text


def test_warnings_stand_above_the_numbers_and_notes_below(path):
    page = path.read_text(encoding="utf-8")
    places = [page.index(f'<div class="{kind}">') for kind in ("warnings", "numbers", "notes", "grid")]
    assert places == sorted(places)
    assert page[places[0] : places[1]].count("<li>") == 1 and "Warnings0 nuclei & <no> tissue" in Page(path).text


def test_names_are_shown_and_not_read_as_markup(tmp_path, blocks, geometry, facts):
    evil = replace(geometry, name="<script>alert(1)</script>", classes=("<b>bold", "x & y"))
    page = Page(write_summary(tmp_path / "summary.html", blocks, evil, facts))
    assert "script" not in page.tags
    remarks = ("0 nuclei & <no> tissue", "colour < 8 bits & more")
    for shown in ("<script>alert(1)</script>", "<b>bold", "x & y", "<svs>", *remarks, "net<work>"):
        assert shown in page.text


def test_without_nuclei_micrometres_or_tissue(tmp_path, unknown_frame, facts):
    empty = replace(facts, tissue=np.zeros((15, 19), bool), warnings=(), notes=(), settings={}, times={})
    text = Page(write_summary(tmp_path / "summary.html", [], unknown_frame, empty)).text
    assert "\n0nuclei" in text and "To be aware" not in text and "mm²" not in text and "nan" not in text
    with_mpp = replace(unknown_frame, mpp=(0.25, 0.25))
    assert "nuclei per mm²" in Page(write_summary(tmp_path / "other.html", [], with_mpp, empty)).text


def test_the_tally_is_that_of_all_nuclei_at_once(tmp_path, blocks, geometry):
    files = ObjectFiles([part.save(tmp_path / f"{k}.npz") for k, part in enumerate(blocks)])
    tally = tally_objects(files, geometry)
    names = ("areas", "centroids", "groups", "confidences")
    areas, centres, groups, confidences = (np.concatenate([getattr(part, name) for part in blocks]) for name in names)
    assert tally.count == len(areas) and tally.classes.shape == (2, 3, 3)
    expected, _, _ = np.histogram2d(*centres.T, bins=[np.arange(4) * 64] * 2)
    assert np.array_equal(tally.classes.sum(axis=0), expected)
    assert np.array_equal(tally.groups.sum(axis=(1, 2)), np.bincount(groups, minlength=5)[:4]), "of four known groups"
    for share in (0.25, 0.5, 0.75):
        quantile = np.quantile(geometry.area(areas), share, method="inverted_cdf")
        assert tally.area_quantile(share) == pytest.approx(quantile, abs=0.26)
    assert tally.confidence == pytest.approx(confidences.mean())


def test_the_outline_of_tissue_is_drawn_where_it_ends(facts):
    drawn = draw_tissue(facts.thumbnail, facts.tissue)
    changed = (drawn != facts.thumbnail).any(axis=(0, 2))
    assert changed[48:52].any() and not changed[:45].any() and not changed[56:].any()


@pytest.fixture(scope="module")
def found():
    return find_nuclei(maps_of(discs(SIZE, *CROWD, *LONELY)), RULES)


@pytest.fixture
def big_frame() -> SlideGeometry:
    return SlideGeometry("a", SIZE, (1.0, 1.0), None, ("nucleus",))


def test_the_crowd_is_found_and_the_usual_place_is_none(found, big_frame):
    places = choose_places(tally_objects([found], big_frame), big_frame)
    y, x = places["Most nuclei"]
    assert sum(y <= row < y + SIDE and x <= column < x + SIDE for row, column, _ in CROWD) == len(CROWD)
    other_y, other_x = places["As many nuclei as usual"]
    assert 0 <= other_y <= SIZE[0] - SIDE and 0 <= other_x <= SIZE[1] - SIDE
    assert max(abs(y - other_y), abs(x - other_x)) >= SIDE, "it shows something else"


def test_outlines_lie_on_the_borders_of_the_nuclei_and_nowhere_else(found, big_frame):
    corner = (2400, 1400)
    drawn = draw_place(lambda y, x, h, w: np.zeros((h, w, 3), np.uint8), [found], big_frame, corner)
    assert drawn.shape == (ENLARGED * SIDE, ENLARGED * SIDE, 3)
    line = (drawn == rgb(CONTOUR_COLOURS[0])).all(2)
    assert line.any() and not drawn[~line].any()
    rows, columns = (np.argwhere(line).T + 0.5) / ENLARGED
    distances = [np.hypot(rows + corner[0] - y, columns + corner[1] - x) - 9 for y, x, _ in CROWD]
    assert np.abs(np.min(distances, axis=0)).max() < 2


def test_a_slide_smaller_than_a_close_up_is_shown_whole(big_frame):
    geometry = SlideGeometry("a", (90, 70), (1.0, 1.0), None, ("nucleus",))
    found = find_nuclei(maps_of(discs((90, 70), (30, 40, 9))), RULES)
    (corner,) = choose_places(tally_objects([found], geometry), geometry).values()
    drawn = draw_place(lambda y, x, h, w: np.zeros((h, w, 3), np.uint8), [found], geometry, corner)
    assert corner == (0, 0) and drawn.shape == (180, 140, 3)
