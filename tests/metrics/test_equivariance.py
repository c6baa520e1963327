import json

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from monai_seunet import SEUNet
from monai_seunet.metrics import EquivarianceErrors, equivariance_error, measure_equivariance, paired_sizes

SCALES = (0.5, 1.0, 2.0)


def smooth_image(size: int = 128, seed: int = 0) -> torch.Tensor:
    noise = np.random.default_rng(seed).standard_normal((3, size, size))
    return torch.from_numpy(gaussian_filter(noise, (0, 6, 6)) * 10).float()


class Pointwise(nn.Module):
    """Commutes with every linear resampling."""

    def forward(self, x):
        return torch.stack([x[:, :2], 2 * x[:, 1:]], dim=1)


class Position(nn.Module):
    """Adds a ramp that is steeper in larger images: does not commute with zoom."""

    def forward(self, x):
        return x[:, :2] + 10 * torch.arange(x.shape[-1], dtype=x.dtype)


class GaussianHeads(nn.Module):
    """Blurs by 2 and by 4 pixels: zooming by 2 moves the first head onto the second."""

    def forward(self, x):
        heads = [gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="nearest") for sigma in (2, 4)]
        return torch.from_numpy(np.stack(heads, 1))


def test_error_equals_the_formula_written_out():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 3, 16, 16, generator=generator)
    zoomed = torch.rand(2, 3, 24, 24, generator=generator)
    moved = nn.functional.interpolate(features, (24, 24), mode="bilinear").numpy().astype(float)
    expected = [[np.sum((a - b) ** 2) / np.sum(a**2) for b in zoomed.numpy().astype(float)] for a in moved]
    np.testing.assert_allclose(equivariance_error(features, zoomed), expected, rtol=1e-5)
    assert torch.allclose(equivariance_error(features, torch.zeros_like(zoomed)), torch.ones(2, 2).double())


def test_an_operator_that_commutes_has_no_error_and_one_that_does_not_has_a_large_one():
    images = [smooth_image(seed=seed) for seed in (0, 1)]
    good = measure_equivariance(Pointwise(), images, SCALES, largest=128, progress=False)
    bad = measure_equivariance(Position(), images, SCALES, largest=128, progress=False)
    assert good.images == 2 and good.matrices.shape == (3, 2, 2)
    assert good.errors.max() < 1e-10
    assert good.matrices[:, 0, 1].min() > 0.1  # the wrong pair of heads does not match
    assert bad.errors[[0, 2]].min() > 0.1 and bad.errors[1] == 0
    assert bad.mean == pytest.approx(bad.errors[[0, 2]].mean())


def test_zoom_moves_a_head_onto_the_head_of_that_scale():
    result = measure_equivariance(GaussianHeads(), [smooth_image()], SCALES, largest=256, progress=False)
    assert result.pairs == [(2, 1), (1, 1), (1, 2)]
    assert result.errors.max() < 0.02
    again = EquivarianceErrors.from_dict(json.loads(json.dumps(result.to_dict())))
    assert again.pairs == result.pairs and again.mean == result.mean


def test_octaves_are_compared_on_small_crops_too():
    """At half the size octave 1 gives what octave 0 gave, on a crop that is too small for octave 1 alone."""
    torch.manual_seed(0)
    network = SEUNet(width=8, num_levels=3, num_octaves=2, scales_per_octave=1)
    network(smooth_image()[None])
    result = measure_equivariance(network, [smooth_image()], (0.25, 0.5, 1.0), 16, multiple=4, progress=False)
    assert result.matrices.shape == (3, 2, 2)
    assert result.pairs[1] == (2, 1) and result.errors[1] < 0.1


def test_mode_of_the_network_is_kept_and_no_image_is_refused():
    network = Pointwise().train()
    measure_equivariance(network, [smooth_image()], SCALES, largest=64, progress=False)
    assert network.training
    with pytest.raises(ValueError, match="at least one image"):
        measure_equivariance(network, [], SCALES, progress=False)


@pytest.mark.parametrize("image_size", [None, 256, 1000])
def test_crops_need_no_padding_and_realise_the_zoom(image_size):
    for scale in 2.0 ** (np.arange(-8, 9) / 4):
        crop, zoomed = paired_sizes(float(scale), 512, 16, image_size)
        assert crop % 16 == zoomed % 16 == 0
        assert max(crop, zoomed) <= 512 and crop <= (image_size or 512)
        assert zoomed / crop == pytest.approx(scale, rel=0.005 if image_size != 256 else 0.05)


def test_no_crop_fits():
    with pytest.raises(ValueError, match=r"no crop of at most 32 pixels.*at scale 4"):
        paired_sizes(4.0, 32)
