"""Stains are normalised by TorchScript as by the transforms."""

import pytest
import torch
from repository import CONFIGS
from skimage.data import immunohistochemistry

from monai_seunet.export.scripted.stains import StainNormalization
from monai_seunet.transforms.stain.fit import fit_profile
from monai_seunet.transforms.stain.functional import transfer_stains
from monai_seunet.transforms.stain.profile import as_target


@pytest.fixture(scope="module")
def target():
    return as_target(CONFIGS / "stain_target.json")


def test_the_colours_are_those_of_the_transform(target):
    image = torch.from_numpy(immunohistochemistry()[:256, :300]).permute(2, 0, 1).contiguous()
    profile = fit_profile([image])
    (stains, strength), (wanted, wanted_strength) = profile.tensors(), target.tensors()
    expected = transfer_stains(image, stains, wanted, wanted_strength / strength, profile.penalty)
    result = torch.jit.script(StainNormalization(target))(image.float())
    difference = (result - expected.float()).abs()
    assert difference.max() <= 1 and difference.mean() < 0.01  # rounding to 8 bits
    assert (image.float() - expected.float()).abs().mean() > 10  # the control


@pytest.mark.parametrize("value", [255.0, 0.0, 128.0])
def test_a_tile_without_two_stains_stays_as_it_is(value, target):
    tile = torch.full((3, 64, 64), value)
    assert torch.equal(StainNormalization(target)(tile), tile)
