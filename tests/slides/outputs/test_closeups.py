"""Close-ups of the summary: the right places, and outlines where the nuclei are."""

from __future__ import annotations

import numpy as np
import pytest
from nuclei_fields import RULES, discs, maps_of

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, rgb
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.closeups import ENLARGED, SIDE, choose_places, draw_place
from monai_seunet.slides.outputs.summary.tally import tally_objects

SIZE = (3000, 2000)
CROWD = [(2500 + 40 * row, 1500 + 40 * column, 9) for row in range(6) for column in range(6)]
LONELY = [(300, 300, 9), (900, 1700, 9), (1500, 200, 9), (2000, 1000, 9), (700, 900, 9)]


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
