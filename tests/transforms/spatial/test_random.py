"""Scale augmentation: log-uniform factors, the same part of image and label, reproducible."""

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.transforms.spatial.random import RandRescaledCropd
from monai_seunet.utils.errors import InputError


def picture(height: int = 40, width: int = 30) -> MetaTensor:
    return MetaTensor(torch.rand(3, height, width), affine=torch.diag(torch.tensor([0.5, 0.5, 1.0])), meta={"mpp": 0.5})


def test_factors_are_log_uniform():
    crop = RandRescaledCropd("image", 10, (0.25, 4)).set_random_state(0)
    logs = []
    for _ in range(2000):
        crop.randomize()
        logs.append(math.log2(crop.factor))
    counts = torch.histc(torch.tensor(logs), bins=4, min=-2, max=2)
    assert counts.sum() == 2000, "all of them are in the range"
    assert ((counts - 500).abs() < 5 * 500**0.5).all(), "each octave is as likely as any other; uniform factors are not"


@pytest.mark.parametrize("factor", [0.25, 0.4, 1.0, 1.7, 4.0])
def test_a_crop_is_a_part_of_the_rescaled_image(factor):
    """Far from its border, a crop has the pixels of the whole rescaled image at its place."""
    rows = torch.arange(600.0)
    image = torch.stack([rows[:, None].expand(600, 500), rows[None, :500].expand(600, 500)])
    crop = RandRescaledCropd("image", 64, (factor, factor)).set_random_state(0)
    crops = [crop({"image": image})["image"] for _ in range(50)]
    assert all(result.shape == (2, 64, 64) for result in crops)
    for result in crops:
        steps = result[0, 5:-5, 0].diff()
        torch.testing.assert_close(steps, torch.full_like(steps, 1 / factor), rtol=0.02, atol=0)
    firsts, lasts = (torch.stack([result[:, at, at] for result in crops]) for at in (0, -1))
    assert (firsts.amin(0) < 60).all() and (lasts.amax(0) > torch.tensor([540.0, 440.0])).all(), "parts are everywhere"


def test_a_small_image_is_the_limit_of_the_part():
    crop = RandRescaledCropd("image", 64, (0.5, 0.5))
    image = picture(40, 300)
    result = crop({"image": image})["image"]
    assert result.shape == (3, 20, 64)
    assert result.meta["mpp"] == pytest.approx(1.0, rel=0.05)


def test_the_whole_image_is_rescaled_as_by_its_factor():
    image = picture()
    result = RandRescaledCropd("image", 200, (2, 2))({"image": image})["image"]
    assert torch.equal(result, RescaleByFactor(2)(image))


def test_image_and_label_share_the_part_and_the_label_keeps_its_values():
    augment = RandRescaledCropd(["image", "label"], 24, (0.5, 2), mode=["bilinear", "nearest"])
    label = MetaTensor((torch.arange(60)[:, None] + torch.arange(50)[None]).long()[None] // 16 * 7)
    image = label.float()
    for seed in range(5):
        result = augment.set_random_state(seed)({"image": image, "label": label})
        assert result["image"].shape == result["label"].shape == (1, 24, 24)
        assert set(result["label"].unique().tolist()) <= set(range(0, 50, 7)) and result["label"].dtype == label.dtype
        assert float((result["image"] - result["label"]).abs().mean()) < 1.5


def test_seeded_draws_repeat_and_some_crops_are_not_rescaled():
    def factors() -> list[float]:
        crop = RandRescaledCropd("image", 8, (0.25, 4), prob=0.5)
        augment = Compose([crop]).set_random_state(1)
        return [crop.factor for _ in range(20) if augment({"image": picture()})]

    assert factors() == factors()
    assert 4 <= factors().count(1.0) <= 16


def test_without_factors_it_is_a_random_crop():
    image = picture()
    crop = RandRescaledCropd("image", 16).set_random_state(2)
    result = crop({"image": image})["image"]
    windows = image.unfold(1, 16, 1).unfold(2, 16, 1).flatten(1, 2)  # (3, places, 16, 16)
    assert ((windows == result[:, None]).all(-1).all(-1).all(0)).sum() == 1


@pytest.mark.parametrize("factors", [(2, 1), (0, 1), (1,), "0.25, 4", 2.0, (1, math.inf)])
def test_impossible_factors_are_refused(factors):
    with pytest.raises(InputError, match="scale augmentation"):
        RandRescaledCropd("image", 8, factors)
