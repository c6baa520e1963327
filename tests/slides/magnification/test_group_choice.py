"""Which scale groups run on a slide."""

from __future__ import annotations

import numpy as np
import pytest

from monai_seunet.networks import PlainUNet, SEUNet
from monai_seunet.slides.magnification.groups import GroupChoice, automatic_groups, fitting_groups

NETWORK = SEUNet(width=12, num_levels=3, num_octaves=3, scales_per_octave=2)  # all octaves from 32 pixels on


def test_indices_tell_which_group_of_the_network_each_is():
    assert GroupChoice(None).indices[:4].tolist() == [0, 1, 2, 3]
    indices = GroupChoice([5, 2]).indices
    assert indices[:2].tolist() == [4, 1] and indices.dtype == np.uint8 and indices.shape == (256,)


@pytest.mark.parametrize(
    ("enough", "mpp", "note"),
    [
        ([3, 4], 0.25, "3, 4 are run, which are as good as all of them at 0.25 µm per pixel"),
        (None, 2.0, "all are run, since the calibration knows none at 2 µm per pixel"),
        (None, None, "all are run, since the µm per pixel are not known"),
    ],
)
def test_automatic_groups_say_what_was_chosen(enough, mpp, note):
    choice = automatic_groups(enough, mpp)
    assert choice.numbers == enough and choice.notes == (f"groups are auto: {note}",)


@pytest.mark.parametrize(
    ("groups", "height", "required", "fitting"),
    [
        (None, 32, False, None),
        (None, 31, False, [1, 2, 3, 4]),
        (None, 15, False, [1, 2]),
        ([2, 6], 31, True, [2]),
        ([1, 2], 31, True, [1, 2]),
        ([5, 6], 31, True, [5, 6]),  # somebody wants them
        ([5, 6], 31, False, [1, 2, 3, 4]),
        ([9], 31, True, [9]),  # refused later, by its number
    ],
)
def test_octaves_that_are_too_coarse_are_left_out(groups, height, required, fitting):
    asked = GroupChoice(groups, ("said before",))
    choice = fitting_groups(asked, NETWORK, height, 64, required)
    assert choice.numbers == fitting and choice.notes[0] == "said before"
    assert (len(choice.notes) == 2) == (fitting != groups), "what is left out is said"


def test_a_network_without_groups_runs_whole():
    asked = GroupChoice(None)
    assert fitting_groups(asked, PlainUNet(width=4, num_levels=3), 5, 5, required=False) is asked
