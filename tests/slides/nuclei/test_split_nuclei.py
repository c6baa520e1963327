"""Touching nuclei come apart, single ones stay whole, and nothing but the component counts."""

from dataclasses import replace

import numpy as np
import pytest
from nuclei_fields import discs
from scipy import ndimage

from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.slides.nuclei.split import join_shallow, split_nuclei
from monai_seunet.utils.errors import InputError

RULES = NucleusRules().at(0.25)
TWO = discs((40, 64), (20, 18, 14), (20, 43, 14))


def certain(mask: np.ndarray) -> np.ndarray:
    return np.uint8(255) * mask.astype(np.uint8)


def count(labels: np.ndarray) -> int:
    return len(np.unique(labels[labels > 0]))


def test_two_touching_discs_become_two_halves():
    labels = split_nuclei(TWO, certain(TWO), RULES)
    assert np.array_equal(labels > 0, TWO)
    assert count(labels) == 2
    truth = np.where(np.arange(64) < 31, 1, 2) * TWO
    assert np.mean((labels == labels[20, 18])[truth == 1]) > 0.98
    assert np.mean((labels == labels[20, 43])[truth == 2]) > 0.98


@pytest.mark.parametrize(
    "mask",
    [discs((40, 40), (20, 20, 14)), np.ones((26, 14), bool), discs((50, 50), (25, 25, 24))[::2]],
    ids=["disc", "rectangle", "ellipse"],
)
def test_one_nucleus_stays_whole(mask):
    assert count(split_nuclei(mask, certain(mask), RULES)) == 1


def test_without_joining_a_wavy_border_falls_apart():
    """The control: what is joined are peaks that an uneven border makes."""
    columns = np.arange(60)
    half = 11 + np.round(1.2 * np.sin(columns * 2 * np.pi / 14))
    wavy = np.abs(np.arange(30)[:, None] - 15) < half
    assert count(split_nuclei(wavy, certain(wavy), RULES)) == 1
    assert count(split_nuclei(wavy, certain(wavy), RULES._replace(saddle=1.0, smoothing=0.0))) > 2


def test_a_dip_of_the_probability_parts_what_the_shape_does_not():
    bar = np.ones((24, 60), bool)
    dipped = certain(bar)
    dipped[:, 27:33] = 140
    labels = split_nuclei(bar, dipped, RULES)
    assert count(labels) == 2 and labels[12, 10] != labels[12, 50]
    assert count(split_nuclei(bar, certain(bar), RULES)) == 1
    wide = np.pad(dipped, 5, constant_values=200)  # what is outside of the component does not count
    assert np.array_equal(split_nuclei(np.pad(bar, 5), wide, RULES)[5:-5, 5:-5] > 0, bar)
    assert np.array_equal(split_nuclei(np.pad(bar, 5), wide, RULES)[5:-5, 5:-5], labels)


def test_parts_are_connected_and_cover_the_mask():
    draw = np.random.default_rng(1)
    field = ndimage.gaussian_filter(draw.standard_normal((200, 200)), 5) > 0
    labels, _ = ndimage.label(field)
    mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    parts = split_nuclei(mask, certain(mask), RULES)
    assert np.array_equal(parts > 0, mask)
    assert count(parts) > 5
    for number in np.unique(parts[mask]):
        assert ndimage.label(parts == number)[1] == 1


@pytest.mark.parametrize("mpp", [0.125, 0.25, 0.5])
def test_the_same_nuclei_at_every_magnification(mpp):
    zoom = 0.25 / mpp
    size = (round(40 * zoom), round(64 * zoom))
    mask = discs(size, (20 * zoom, 18 * zoom, 14 * zoom), (20 * zoom, 43 * zoom, 14 * zoom))
    assert count(split_nuclei(mask, certain(mask), NucleusRules().at(mpp))) == 2


def test_less_than_a_typical_nucleus_is_not_split():
    small = discs((20, 32), (10, 9, 7), (10, 22, 7))
    assert count(split_nuclei(small, certain(small), NucleusRules(radius=3.0).at(0.25))) == 1
    assert count(split_nuclei(small, certain(small), NucleusRules(radius=2.0).at(0.25))) == 2


def test_basins_join_over_high_saddles_only():
    height = np.array([[1.0, 10, 9.5, 9.4, 8, 3, 6, 5.9]])
    basins = np.array([[1, 1, 1, 2, 2, 2, 3, 3]], np.int32)
    assert join_shallow(basins, height, 0.9).tolist() == [[1, 1, 1, 1, 1, 1, 3, 3]]
    assert join_shallow(basins, height, 0.4).tolist() == [[1] * 8]
    assert join_shallow(basins, height, 1.0).tolist() == basins.tolist()


def test_rules_out_of_range_are_refused():
    with pytest.raises(InputError, match="saddle is 0"):
        NucleusRules(saddle=0)
    with pytest.raises(InputError, match="radius is -1"):
        replace(NucleusRules(), radius=-1)
    with pytest.raises(InputError, match="mpp is 0"):
        NucleusRules().at(0)
