"""Scale augmentation: log-uniform factors, the same for image and label, inverted, reproducible."""

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose

from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.transforms.spatial.random import RandRescale, RandRescaled
from monai_seunet.utils.errors import InputError


def picture(height: int = 40, width: int = 30) -> MetaTensor:
    return MetaTensor(torch.rand(3, height, width), affine=torch.diag(torch.tensor([0.5, 0.5, 1.0])), meta={"mpp": 0.5})


def test_factors_are_log_uniform():
    rescale = RandRescale((0.25, 4)).set_random_state(0)
    logs = []
    for _ in range(2000):
        rescale.randomize()
        logs.append(math.log2(rescale.factor))
    counts = torch.histc(torch.tensor(logs), bins=4, min=-2, max=2)
    assert counts.sum() == 2000, "all of them are in the range"
    assert ((counts - 500).abs() < 5 * 500**0.5).all(), "each octave is as likely as any other; uniform factors are not"


def test_one_draw_is_rescaling_by_its_factor():
    rescale, image = RandRescale((0.25, 4)).set_random_state(3), picture()
    result = rescale(image)
    assert rescale.factor != 1
    assert torch.equal(result, RescaleByFactor(rescale.factor)(image))
    assert result.meta["mpp"] == pytest.approx(0.5 / rescale.factor, rel=0.05)
    back = rescale.inverse(result)
    assert back.shape == image.shape
    torch.testing.assert_close(back.affine, image.affine.to(back.affine))


def test_image_and_label_share_the_draw_and_the_label_keeps_its_values():
    augment = RandRescaled(["image", "label"], (0.5, 2), mode=["bilinear", "nearest"])
    image, label = picture(), MetaTensor(torch.randint(0, 3, (1, 40, 30)) * 7)
    sizes = set()
    for seed in range(5):
        augment.set_random_state(seed)
        result = augment({"image": image, "label": label})
        assert result["image"].shape[1:] == result["label"].shape[1:]
        assert set(result["label"].unique().tolist()) <= {0, 7, 14} and result["label"].dtype == label.dtype
        assert augment.inverse(result)["label"].shape == label.shape
        sizes.add(tuple(result["image"].shape))
    assert len(sizes) == 5


def test_seeded_draws_repeat():
    def sizes() -> list[tuple[int, ...]]:
        augment = Compose([RandRescaled("image", (0.25, 4), prob=0.5)]).set_random_state(1)
        return [tuple(augment({"image": picture()})["image"].shape) for _ in range(20)]

    assert sizes() == sizes()
    kept = sizes().count((3, 40, 30))
    assert 4 <= kept <= 16, "prob leaves some as they are"


@pytest.mark.parametrize("factors", [(2, 1), (0, 1), (1,), "0.25, 4", 2.0, (1, math.inf)])
def test_impossible_factors_are_refused(factors):
    with pytest.raises(InputError, match="scale augmentation"):
        RandRescale(factors)
