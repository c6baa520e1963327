"""Images that a network cannot take are named."""

import pytest
import torch
from monai.data import MetaTensor

from monai_seunet.transforms.check import CheckImage, CheckImaged
from monai_seunet.utils.errors import InputError


def named(values: torch.Tensor) -> MetaTensor:
    return MetaTensor(values, meta={"filename_or_obj": "slide.tif"})


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_good_images_pass_unchanged(dtype):
    image = named((255 * torch.rand(3, 4, 5)).to(dtype))
    assert CheckImage()(image) is image
    assert CheckImaged("image")({"image": image, "name": 1})["image"] is image
    assert CheckImage()(torch.zeros(3, 4, 4)).shape == (3, 4, 4), "an empty field is an image, too"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(1, 8, 8), r"slide\.tif: image of 1 channels.*3 channels and two axes"),
        (torch.zeros(3, 8, 0), r"slide\.tif: image of 3 channels and \[8, 0\]"),
        (torch.zeros(3, 8, 8, 8), r"slide\.tif:.*two axes"),
        (torch.full((3, 8, 8), float("nan")), r"slide\.tif:.*NaN"),
        (torch.full((3, 8, 8), float("inf")), r"slide\.tif:.*infinite"),
        (torch.full((3, 8, 8), 4095), r"slide\.tif: values from 4095.*8 bits"),
        (torch.full((3, 8, 8), -1.0), r"slide\.tif: values from -1"),
        (torch.linspace(0, 1, 192).view(3, 8, 8), r"slide\.tif: values from 0.*0 to 255"),
    ],
)
def test_bad_images_are_named(values, message):
    for check, image in ((CheckImage(), named(values)), (CheckImaged("x"), {"x": named(values)})):
        with pytest.raises(InputError, match=message):
            check(image)


def test_a_network_of_one_channel():
    CheckImage(channels=1)(named(torch.zeros(1, 8, 8)))
    with pytest.raises(
        InputError, match=r"slide\.tif: image of 3 channels.*1 channels and two axes.*export it as grey"
    ):
        CheckImage(channels=1)(named(torch.zeros(3, 8, 8)))


def test_16_bits_pass_where_they_are_standardised():
    image = named(torch.full((1, 8, 8), 4095))
    assert CheckImage(channels=1, bits=16)(image) is image
    with pytest.raises(InputError, match=r"values from 4095.*standardise"):
        CheckImage(channels=1)(image)
    with pytest.raises(InputError, match="0 to 65535"):
        CheckImaged("x", channels=1, bits=16)({"x": named(torch.full((1, 8, 8), 65536))})
