"""What is too small among its neighbours."""

import numpy as np
import pytest

from monai_seunet.slides.nuclei.rules import NucleusRules, is_speck, typical_area


def test_the_typical_area_is_that_in_which_the_middle_pixel_lies():
    assert typical_area(np.array([7])) == 7
    assert typical_area(np.array([1] * 50 + [100, 120, 140])) == 120, "specks weigh little"
    assert np.median([1] * 50 + [100, 120, 140]) == 1, "other than in a median"
    assert typical_area(np.array([[1, 2, 3], [30, 10, 20]])).tolist() == [2, 20]


def field(count: int, seed: int, near: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Objects of 100 to 300 pixels, a third of them specks of 1 to 8."""
    rng = np.random.default_rng(seed)
    areas = rng.integers(100, 300, count)
    areas[: count // 3] = rng.integers(1, 9, count // 3)
    return areas, near * rng.random((count, 2))


@pytest.mark.parametrize("count", [3, 20, 500])
def test_specks_are_found_whatever_the_size_the_order_and_the_turn(count):
    areas, places = field(count, count)
    found = is_speck(areas, places, 0.1)
    assert found.tolist() == [True] * (count // 3) + [False] * (count - count // 3)
    assert np.array_equal(is_speck(64 * areas, 8 * places, 0.1), found)
    assert np.array_equal(is_speck(areas, places[:, ::-1] * (1, -1), 0.1), found)
    order = np.random.default_rng(0).permutation(count)
    assert np.array_equal(is_speck(areas[order], places[order], 0.1), found[order])
    assert not is_speck(areas, places, 0.0).any()
    assert is_speck(areas, places, 0.1).sum() < is_speck(areas, places, 0.9).sum()


def test_small_nuclei_among_their_own_are_none_beside_large_ones():
    """Two tissues of which one is at eight times the size of the other, side by side."""
    large, at = field(200, 0)
    small, there = field(200, 1)
    areas, places = np.concatenate([64 * large, small]), np.concatenate([at, there + np.array([0, 5])])
    found = is_speck(areas, places, 0.1)
    assert np.array_equal(found, np.concatenate([is_speck(large, at, 0.1), is_speck(small, there, 0.1)]))
    assert is_speck(areas, places, 0.1, neighbours=400)[200:].all(), "the control: all of them as one field"


def test_a_field_of_few_nuclei_is_judged_by_its_own():
    """Twenty nuclei of a field beside as many of one at eight times its size."""
    rng = np.random.default_rng(0)
    small, large = rng.integers(20, 60, 20), 64 * rng.integers(20, 60, 20)
    areas = np.concatenate([small, large])
    places = np.concatenate([60 * rng.random((20, 2)), 480 * rng.random((20, 2)) + np.array([0, 100])])
    assert is_speck(areas, places, 0.1).sum() <= 4
    assert is_speck(areas, places, 0.1, neighbours=32)[:20].all(), "the control: more are asked"


def test_no_objects_have_no_specks():
    assert is_speck(np.zeros(0), np.zeros((0, 2)), 0.1).shape == (0,)
    assert not is_speck(np.array([5]), np.array([[1.0, 2.0]]), 0.1).any()


def test_pieces_of_many_objects_are_one_field(monkeypatch):
    areas, places = field(300, 5)
    whole = is_speck(areas, places, 0.1)
    monkeypatch.setattr("monai_seunet.slides.nuclei.rules.CHUNK", 64)
    assert np.array_equal(is_speck(areas, places, 0.1), whole)


def test_a_least_area_that_is_given_counts_where_nobody_knows_the_micrometres_too():
    assert NucleusRules(min_area=5.0).at_unknown() == NucleusRules(min_area=5.0).at(0.25)
    assert NucleusRules(min_area=5.0).at_unknown(0.5) == NucleusRules(min_area=5.0).at(0.5)
    assert (NucleusRules().at_unknown().min_area, NucleusRules().at_unknown().least_share) == (4, 0.1)
    assert (NucleusRules().at(0.5).min_area, NucleusRules().at(0.5).least_share) == (16, 0)
