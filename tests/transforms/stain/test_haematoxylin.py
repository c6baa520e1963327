"""The density of haematoxylin, against scikit-image's mixing of stains."""

import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from skimage.color import combine_stains, rgb_from_hed

from monai_seunet.transforms.stain import HaematoxylinDensity, HaematoxylinDensityd
from monai_seunet.transforms.stain.functional import BLOCK
from monai_seunet.utils.errors import InputError


def mixed(shape, seed=0):
    """A picture that scikit-image mixes of random amounts of two stains, (3, H, W), and its haematoxylin."""
    amounts = np.random.default_rng(seed).uniform(0, 0.15, (*shape, 3))
    amounts[..., 2] = 0
    unit = -math.log(1e-6)  # scikit-image's, of optical density
    density = amounts[..., 0] * unit * np.linalg.norm(rgb_from_hed[0])
    return torch.from_numpy(combine_stains(amounts, rgb_from_hed)).movedim(-1, 0), torch.from_numpy(density)


def test_mixed_stains_are_told_apart():
    image, expected = mixed((BLOCK // 100, 130))  # more than a block
    found = HaematoxylinDensity()(image)
    assert found.shape == (1, *expected.shape) and found.dtype == torch.float64
    torch.testing.assert_close(found[0], expected, atol=1e-6, rtol=0)
    without = image / torch.from_numpy(np.exp(-0.2 * rgb_from_hed[0]))[:, None, None]  # less haematoxylin everywhere
    assert float((HaematoxylinDensity()(without.clamp(max=1))[0] - expected).abs().mean()) > 0.05


def test_white_is_without_and_eosin_counts_for_nothing():
    white, eosin = torch.ones(3, 4, 4), torch.exp(-torch.from_numpy(rgb_from_hed[1]))[:, None, None].expand(3, 4, 4)
    assert HaematoxylinDensity()(white).eq(0).all()
    assert HaematoxylinDensity()(eosin).abs().max() < 1e-6


def test_bytes_and_metadata_are_taken():
    image = MetaTensor(mixed((20, 30))[0].mul(255).round().to(torch.uint8), meta={"filename_or_obj": "one.png"})
    found = HaematoxylinDensityd("image")({"image": image, "other": 1})
    assert found["other"] == 1 and found["image"].meta["filename_or_obj"] == "one.png"
    assert found["image"].dtype == torch.float32
    torch.testing.assert_close(found["image"].as_tensor(), HaematoxylinDensity()(image.as_tensor().float() / 255))
    turned = HaematoxylinDensity()(torch.rot90(image.as_tensor(), 1, (1, 2)))
    assert torch.equal(turned, torch.rot90(found["image"].as_tensor(), 1, (1, 2)))


def test_grey_images_are_refused():
    with pytest.raises(InputError, match="need an RGB image"):
        HaematoxylinDensity()(torch.zeros(1, 4, 4))
