"""Trainable scales and their ranges."""

import pytest
import torch

from monai_seunet.networks.layers.gaussian.sigma import ScaleParameter, level_bounds
from monai_seunet.utils.errors import InputError


def test_paper_ranges_give_the_kernel_sizes_of_the_paper():
    bounds = level_bounds("paper", 5, 5)
    assert bounds[0] == [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0), (2.0, 2.5)]
    assert bounds[4][-1] == (4.0, 4.5)


def test_geometric_ranges_have_one_ratio_everywhere():
    bounds = level_bounds("geometric", 3, 5)
    assert bounds[0] == bounds[2]
    for lower, upper in bounds[0]:
        assert upper / lower == pytest.approx(2**0.5)


@pytest.mark.parametrize("mode", ["constrained", "fixed", "free"])
def test_every_mode_starts_in_the_middle(mode):
    sigma = ScaleParameter([(0.5, 1.0), (1.0, 1.5)], mode)
    torch.testing.assert_close(sigma(), torch.tensor([0.75, 1.25]))
    assert sigma.raw.requires_grad == (mode != "fixed")


def test_constrained_scales_cannot_leave_their_range_and_free_ones_can():
    bounds = [(0.5, 1.0), (1.0, 1.5)]
    constrained, free = ScaleParameter(bounds), ScaleParameter(bounds, "free")
    for sigma in (constrained, free):
        torch.nn.init.constant_(sigma.raw, 5.0)
    assert (constrained() <= torch.tensor([1.0, 1.5])).all() and (constrained() > torch.tensor([0.99, 1.49])).all()
    assert (free() == 32).all()


@pytest.mark.parametrize(
    ("bounds", "said"),
    [([(0.5, 1.2), (1.0, 1.5)], "overlap"), ([(1.0, 0.5)], "lower < upper"), ([(-1.0, 0.5)], "0 <= lower")],
)
def test_bad_ranges_are_refused(bounds, said):
    with pytest.raises(InputError, match=said):
        ScaleParameter(bounds)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="constrained"):
        ScaleParameter([(0.5, 1.0)], "fix")
    with pytest.raises(InputError, match="geometric"):
        level_bounds("linear", 5, 5)
    with pytest.raises(InputError, match="5 levels of 2 pairs"):
        level_bounds([[(0.5, 1.0)]] * 5, 5, 2)
