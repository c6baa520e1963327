"""Good H&E gets no warning about its stains; other stains, false colours and casts do."""

import numpy as np
import pytest
import torch
from skimage.data import immunohistochemistry, retina

from monai_seunet.reading.raster import read_image
from monai_seunet.transforms.stain import NoTissueError, fit_profile


def code(pixels) -> str | None:
    """The code of the warning for pixels (H, W, 3)."""
    try:
        warning = fit_profile([torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)]).warning
    except NoTissueError:
        return "no stains"
    return None if warning is None else warning.code


def toned(pixels, *factors):
    return np.rint(pixels * np.array(factors)).astype(np.uint8)


@pytest.mark.data
@pytest.mark.parametrize("folder", ["tnbc/images", "glas/images"])
def test_good_images_of_a_data_set_get_no_warning(data_dir, folder):
    images = sorted((data_dir / folder).iterdir())
    chosen = images[:: len(images) // 10]
    assert len(chosen) >= 10
    assert {path.name: code(read_image(path, 3).pixels) for path in chosen} == dict.fromkeys(
        path.name for path in chosen
    )


@pytest.mark.data
@pytest.mark.parametrize("name", ["stain/source.png", "tnbc/images/01_1.png"])
def test_false_colours_of_a_good_image_are_told(data_dir, name):
    pixels = read_image(data_dir / name, 3).pixels
    assert code(pixels) is None
    assert code(255 - pixels) is not None
    assert code(pixels[:, :, [1, 2, 0]]) is not None
    assert code(np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)) == "no stains"
    for cast in ((1, 1, 0.6), (0.6, 1, 0.6), (0.6, 1, 1), (0.6, 0.6, 1), (1, 0.6, 0.6), (0.5, 0.5, 0.5)):
        assert code(toned(pixels, *cast)) == "colour_cast", cast
    slight = toned(pixels, 1, 0.95, 0.9)
    assert code(slight) is None, "a slight cast is common"


def test_images_of_other_stains_are_told():
    assert code(immunohistochemistry()) == "stain_not_he"
    assert code(retina()[200:1200, 200:1200]) == "colour_cast", "a photo in reddish light"
