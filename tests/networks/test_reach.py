"""The smallest crop that the filters of a network fit on."""

import logging

import pytest

from monai_seunet.networks import PlainUNet, SEUNet
from monai_seunet.networks.receptive_field import smallest_crop, warn_of_small_crops


@pytest.mark.parametrize(("groups", "expected"), [(3, 112), (5, 176), (7, 336)])
def test_the_widest_filter_fits_on_the_coarsest_map(groups, expected):
    net = SEUNet(width=groups, scales_per_octave=groups, sigma_ranges="geometric")
    widest = max(conv.kernels()[-1].shape[-1] for conv in net.scale_layers().values())
    assert smallest_crop(net) == widest * net.stride == expected


def test_octaves_need_no_larger_crops():
    options = {"scales_per_octave": 2, "sigma_ranges": "geometric"}
    assert smallest_crop(SEUNet(width=6, num_octaves=3, **options)) == smallest_crop(SEUNet(width=2, **options)) == 80


def test_small_crops_are_warned_of_and_others_not(caplog):
    net = SEUNet(width=7, scales_per_octave=7, sigma_ranges="geometric")
    with caplog.at_level(logging.WARNING):
        warn_of_small_crops(net, 336)
        warn_of_small_crops(PlainUNet(width=4), 32)
        assert not caplog.records
        warn_of_small_crops(net, 192)
    assert "crop_size 192 is small" in caplog.text and "at least 336 pixels" in caplog.text
