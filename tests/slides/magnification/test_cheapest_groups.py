"""The scale groups that are enough: the cheapest that lose nothing, which differ from size to size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_estimate import BlobNetwork, discs

from monai_seunet import SEUNet
from monai_seunet.slides.magnification import cheapest_groups as cheapest
from monai_seunet.slides.magnification.cheapest_groups import MAGNIFICATIONS, cheapest_groups


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
