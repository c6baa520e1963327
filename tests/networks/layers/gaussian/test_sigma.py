"""Trainable scales and their ranges."""

import copy

import pytest
import torch

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
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


@pytest.fixture
def read(monkeypatch):
    """The number of times that numbers are read from tensors, for which a GPU has to finish."""
    calls = []
    for name in ("tolist", "item", "__float__", "__int__", "__bool__", "cpu"):
        original = getattr(torch.Tensor, name)

        def counted(*args, _original=original, **kwargs):
            calls.append(_original)
            return _original(*args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    return calls


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_evaluation_reads_the_radii_once(read, without):
    conv, x = ScaleConv2d(3, 4, [(0.5, 1.0), (1.0, 1.5)]).eval(), torch.rand(2, 3, 16, 16)
    with without():
        first = conv(x)
        del read[:]
        assert conv(x).equal(first) and read == []
    conv.train()(x)
    conv(x)
    assert len(read) == 2, "sigmas change after each step of a training"


def test_radii_are_those_of_the_present_scales():
    sigma = ScaleParameter([(0.5, 4.0), (4.0, 8.0)]).eval()
    with torch.no_grad():
        assert sigma.radii(2.0) == [5, 12] and sigma.radii(3.0) == [7, 18] and sigma.radii(2.0) == [5, 12]
        sigma.radii(2.0).clear()  # a list of the caller
        other = copy.deepcopy(sigma)
        sigma.raw.fill_(-30.0)
        assert sigma.radii(2.0) == [1, 8] and other.radii(2.0) == [5, 12]
        other.load_state_dict(sigma.state_dict())
        assert other.radii(2.0) == [1, 8]
        sigma.raw.data.fill_(30.0)
        assert sigma.train().eval().radii(2.0) == [8, 16], "a change of the mode clears the cache"
        sigma.subset([1])
        assert sigma.radii(2.0) == [16]
    sigma = ScaleParameter([(0.5, 4.0)])
    step = torch.optim.SGD(sigma.parameters(), lr=100.0)
    before = sigma.radii(2.0)
    sigma().sum().backward()
    step.step()
    assert before == [5] and sigma.radii(2.0) == [1]
    with torch.no_grad():
        assert sigma.radii(2.0) == [1]
