"""Which scale groups run on a slide: the cheapest that lose nothing, which differ from size to size."""

import numpy as np
import pytest
import torch
from test_estimate import BlobNetwork, discs

from monai_seunet.networks import PlainUNet, SEUNet
from monai_seunet.slides.magnification import cheapest_groups as cheapest
from monai_seunet.slides.magnification.cheapest_groups import MAGNIFICATIONS, cheapest_groups
from monai_seunet.slides.magnification.groups import GroupChoice, automatic_groups, fitting_groups

NETWORK = SEUNet(width=12, num_levels=3, num_octaves=3, scales_per_octave=2)  # all octaves from 32 pixels on


def test_each_size_gets_the_groups_that_find_it(monkeypatch):
    """Group k finds blobs of sigma k: the larger the discs are drawn, the larger the group that is enough."""
    monkeypatch.setattr(cheapest, "SIDE", 128)
    images = [discs(seed) for seed in range(2)]
    enough = cheapest_groups(BlobNetwork(), "p_max", [(image, (image[0] < 0.5).numpy()) for image in images])
    assert list(enough) == list(MAGNIFICATIONS)
    assert all(groups == list(range(groups[0], groups[-1] + 1)) for groups in enough.values()), "neighbours"
    assert len(enough[-2]) < 5 and len(enough[0]) < 5, "few are enough"
    assert enough[-2][-1] < enough[0][0], "larger groups for larger discs"


@pytest.mark.parametrize(("fine", "expected"), [(False, [4, 5]), (True, [0, 1])])
def test_the_cheapest_octave_is_taken_where_it_is_as_good(monkeypatch, fine, expected):
    network = SEUNet(width=6, num_octaves=3, scales_per_octave=2, num_levels=2).eval()
    truth = np.zeros((64, 64), bool)
    truth[:, 20:40] = True
    image = torch.from_numpy(np.stack([truth] * 3)).float()

    def heads(x):
        """All octaves are right; or all but the finest know nothing of every second row."""
        right = 20 * (x[:, :1] - 0.5)
        logits = torch.cat([-right, right], 1)[:, None].repeat(1, 6, 1, 1, 1)
        if fine:
            logits[:, 2:, :, ::2] *= 0
        return logits

    monkeypatch.setattr(network, "all_heads", heads)
    monkeypatch.setattr(cheapest, "SIDE", 64)
    enough = cheapest_groups(network, "arithmetic", [(image, truth)])
    assert enough and all(groups == expected for groups in enough.values())


def test_small_images_and_images_where_all_groups_fail_say_nothing():
    network = SEUNet(width=24, num_octaves=3, scales_per_octave=2).eval()
    image, nothing = torch.rand(3, 200, 200), np.zeros((200, 200), bool)
    assert cheapest_groups(network, "p_conf", [(image, nothing)]) == {}


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
