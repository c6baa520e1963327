"""Rescaling: sizes, µm per pixel, inversion, array = dictionary."""

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Flipd, Invertd

from monai_seunet.transforms.spatial.array import RescaleByFactor, RescaleToMpp
from monai_seunet.transforms.spatial.dictionary import RescaleByFactord, RescaleToMppd
from monai_seunet.utils.errors import InputError


def picture(mpp=0.5, size=(60, 40), dtype=torch.float32):
    values = torch.rand(3, *size, generator=torch.Generator().manual_seed(1)) * (1 if dtype.is_floating_point else 255)
    spacing = mpp or 1.0
    meta = {"filename_or_obj": "slide.tif"} | ({} if mpp is None else {"mpp": mpp})
    return MetaTensor(values.to(dtype), affine=torch.diag(torch.tensor([spacing, spacing, 1.0, 1.0])), meta=meta)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("factor", [0.25, 0.7, 1.0, 2.0, 2**0.25])
def test_size_affine_and_inverse(factor, dtype):
    image, rescale = picture(dtype=dtype), RescaleByFactor(factor)
    result = rescale(image)
    assert result.dtype == dtype and result.shape == (3, round(60 * factor), round(40 * factor))
    assert result.meta["mpp"] == pytest.approx(0.5 / factor, rel=0.03)
    back = rescale.inverse(result)
    assert back.shape == image.shape and back.meta["mpp"] == pytest.approx(0.5) and back.applied_operations == []
    torch.testing.assert_close(back.affine, image.affine.to(back.affine))


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_the_affine_keeps_the_corners_of_the_image_in_place(factor):
    image = picture()
    result = RescaleByFactor(factor)(image)
    for tensor in (image, result):
        ends = torch.tensor([[-0.5, -0.5], [tensor.shape[1] - 0.5, tensor.shape[2] - 0.5]], dtype=torch.float64)
        world = ends @ tensor.affine[:2, :2].double().T + tensor.affine[:2, 3].double()
        torch.testing.assert_close(world, torch.tensor([[-0.25, -0.25], [29.75, 19.75]], dtype=torch.float64))


def test_labels_come_back_from_a_whole_factor():
    label = MetaTensor(torch.randint(0, 60000, (1, 21, 33)))
    rescale = RescaleByFactor(3, mode="nearest")
    assert torch.equal(rescale.inverse(rescale(label)), label)


def test_plain_tensors_are_taken():
    assert RescaleByFactor(0.5)(torch.zeros(3, 8, 6)).shape == (3, 4, 3)


def test_magnification_does_not_matter_after_rescaling_to_mpp():
    at_40x, at_20x = picture(0.25, (80, 120)), picture(0.5, (40, 60))
    rescale = RescaleToMpp(0.4)
    assert rescale(at_40x).shape == rescale(at_20x).shape == (3, 50, 75)
    assert rescale(at_20x).meta["mpp"] == pytest.approx(0.4)


def test_pixels_that_are_not_square_become_square():
    image = MetaTensor(torch.rand(3, 20, 20), affine=torch.diag(torch.tensor([0.5, 1.0, 1.0])), meta={"mpp": 0.75})
    assert RescaleToMpp(0.5)(image).shape == (3, 20, 40)


def test_an_image_without_mpp_is_an_error_unless_it_is_given():
    with pytest.raises(InputError, match=r"slide\.tif.*as mpp"):
        RescaleToMpp(0.5)(picture(None))
    assert RescaleToMpp(0.5, mpp=0.25)(picture(None)).shape == (3, 30, 20)
    assert RescaleToMpp(0.5, mpp=0.25)(picture(0.5)).shape == (3, 60, 40), "the file's own mpp comes first"


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_impossible_numbers_are_refused(wrong):
    for make in (RescaleByFactor, RescaleToMpp, lambda value: RescaleToMpp(1.0, mpp=value)):
        with pytest.raises(ValueError, match="positive"):
            make(wrong)


@pytest.mark.parametrize(
    ("form", "image_form", "label_form"),
    [
        (RescaleByFactord, RescaleByFactor(0.6), RescaleByFactor(0.6, "nearest")),
        (RescaleToMppd, RescaleToMpp(0.6), RescaleToMpp(0.6, 0.5, "nearest")),
    ],
)
def test_dictionary_equals_array(form, image_form, label_form):
    dictionary = form(["image", "label"], 0.6, mode=["bilinear", "nearest"])
    image, label = picture(), MetaTensor(torch.randint(0, 9, (1, 60, 40)))
    result = dictionary({"image": image, "label": label, "name": "x"})
    assert torch.equal(result["image"], image_form(image)) and torch.equal(result["label"], label_form(label))
    assert result["name"] == "x" and result["image"].shape != image.shape
    back = dictionary.inverse(result)
    assert back["image"].shape == image.shape and back["label"].shape == label.shape


@pytest.mark.parametrize("nearest", [False, True])
def test_a_prediction_returns_to_the_size_of_the_file(nearest):
    before = Compose([Flipd("image", 1), RescaleToMppd("image", 0.3), Flipd("image", 0)])
    item = before({"image": picture()})
    prediction = item["image"].clone() > 0.5
    item["pred"] = MetaTensor(prediction.float(), meta=item["image"].meta, applied_operations=[])
    item = Invertd("pred", before, "image", nearest_interp=nearest)(item)
    assert item["pred"].shape == (3, 60, 40)
    assert (set(item["pred"].unique().tolist()) == {0.0, 1.0}) == nearest
    agreement = ((item["pred"] > 0.5) == (picture() > 0.5)).float().mean()
    assert agreement > 0.8, "flips are undone, too: chance would agree in half of the pixels"
