"""Fixtures of the stain tests."""

import pytest
import torch
from stain_images import DEGENERATE, make_he


@pytest.fixture(params=DEGENERATE, ids=lambda name: name.replace(" ", "-"))
def degenerate(request):
    return DEGENERATE[request.param].clone()


@pytest.fixture
def he_image():
    return make_he()


@pytest.fixture(params=["stain/source.png", "stain/target.png", "cellseg/imgs/patch2.png"])
def real_image(request, data_dir):
    from skimage.io import imread

    return torch.from_numpy(imread(data_dir / request.param)[..., :3].copy()).permute(2, 0, 1).contiguous()
