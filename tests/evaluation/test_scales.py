"""Scales of an evaluation, the images that are rescaled to them, and the pictures that are kept of one."""

import numpy as np
import pytest
import torch
from monai.data import DataLoader, MetaTensor, decollate_batch
from monai.engines import SupervisedEvaluator
from torch import nn

from monai_seunet.evaluation import PanelHandler, ScaleDataset, scale_grid
from monai_seunet.evaluation.panels import nearest_powers_of_two
from monai_seunet.metrics.objects.scores import COLUMNS, count_objects
from monai_seunet.transforms import CheckInstances
from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.utils.errors import InputError


def test_default_is_the_grid_of_the_paper():
    scales = scale_grid()
    assert len(scales) == 17 and 1.0 in scales
    np.testing.assert_allclose(scales, [2 ** (-2 + i / 4) for i in range(17)], rtol=1e-14)


@pytest.mark.parametrize(("minimum", "maximum", "steps", "count"), [(0.5, 2, 1, 3), (0.3, 3, 2, 7), (1, 1, 7, 1)])
def test_grid_stays_in_the_range_and_holds_one(minimum, maximum, steps, count):
    scales = scale_grid(minimum, maximum, steps)
    assert len(scales) == count and 1.0 in scales
    assert minimum <= scales[0] and scales[-1] <= maximum
    np.testing.assert_allclose(np.diff(np.log2(scales)), 1 / steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 0.25), "from 4 to 0.25; give minimum_scale"),
        ((0, 4), "from 0 to 4; give minimum_scale"),
        ((float("nan"), 4), "from nan to 4"),
        ((0.3, 0.32), r"no scale 2\^\(i/4\) lies from 0.3 to 0.32; the nearest are 0.2973 and 0.3536"),
        ((0.5, 2, 0), "steps_per_octave is 0"),
        ((0.5, 2, 1.5), "steps_per_octave is 1.5"),
    ],
)
def test_a_bad_range_says_what_to_give(arguments, message):
    with pytest.raises(InputError, match=message):
        scale_grid(*arguments)


class CountingImages:
    """Two images; counts how often one is preprocessed."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = [torch.rand(3, 20, 30, generator=generator) for _ in range(2)]
        self.asked: list[int] = []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.asked.append(index)
        label = (self.images[index][:1] > 0.5).to(torch.uint8)
        return {"image": MetaTensor(self.images[index]), "label": MetaTensor(label), "name": index}


def test_each_image_is_preprocessed_once_and_rescaled_to_each_scale():
    data = CountingImages()
    scales = (0.5, 1.0, 2.0)
    items = list(ScaleDataset(data, scales))
    assert data.asked == [0, 1]
    assert [tuple(item["image"].shape[1:]) for item in items] == [(10, 15), (20, 30), (40, 60)] * 2
    for place, item in enumerate(items):
        image, scale = data.images[place // 3], scales[place % 3]
        assert torch.equal(item["image"].as_tensor(), RescaleByFactor(scale)(image))
        assert item["label"].shape[1:] == item["image"].shape[1:]
        assert set(item["label"].unique().tolist()) <= {0, 1}
        assert item["label"].meta["test_scale"] == scale and item["image"].meta["test_image"] == place // 3


def test_scale_and_place_survive_the_loader():
    loader = DataLoader(ScaleDataset(CountingImages(), (0.5, 2.0)), batch_size=1, num_workers=0)
    seen = [item["label"].meta for batch in loader for item in decollate_batch(batch)]
    expected = [(0.5, 0), (2.0, 0), (0.5, 1), (2.0, 1)]
    assert [(float(meta["test_scale"]), int(meta["test_image"])) for meta in seen] == expected


@pytest.mark.parametrize("factor", [1, 10**6], ids=["small numbers", "large and sparse ones"])
def test_nuclei_that_the_border_cuts_are_true_objects_at_every_scale(factor):
    numbers = torch.zeros(1, 20, 30, dtype=torch.int64)
    for number, place in enumerate([(0, 0), (0, 12), (8, 0), (16, 20), (12, 26), (8, 12)], start=1):
        numbers[0, place[0] : place[0] + 4, place[1] : place[1] + 4] = number * factor
    image = {"image": torch.rand(3, 20, 30), "label": (numbers > 0).to(torch.uint8)}
    for item in ScaleDataset([{**image, "instances": CheckInstances()(MetaTensor(numbers))}], (0.5, 1.0, 2.0)):
        truth = item["instances"][0].numpy()
        counts = dict(zip(COLUMNS, count_objects(truth, truth), strict=True))
        assert counts["true"] == counts["matched_90"] == 6


def test_no_image_and_no_such_item():
    with pytest.raises(InputError, match="no image to evaluate"):
        ScaleDataset([], (1.0,))
    with pytest.raises(IndexError):
        ScaleDataset(CountingImages(), (1.0,))[2]


@pytest.mark.parametrize(
    ("scales", "chosen"),
    [(scale_grid(), [0.25, 0.5, 1.0, 2.0, 4.0]), (scale_grid(0.5, 3.0, 3), [0.5, 1.0, 2.0]), ([1.1, 1.3], [1.1])],
)
def test_pictures_are_taken_at_powers_of_two(scales, chosen):
    assert nearest_powers_of_two(scales) == pytest.approx(chosen)


class Dark(nn.Module):
    """Two heads that call dark pixels class 1; the second is surer of it."""

    def forward(self, image):
        evidence = torch.stack([image[:, :1] - 0.5, 0.5 - image[:, :1]], 2)  # (B, 1, 2, H, W)
        return torch.cat([evidence, 8 * evidence], 1).softmax(2)


def left_half_dark():
    image = torch.ones(3, 40, 60)
    image[:, :, :30] = 0.0
    label = (image[:1] < 0.5).to(torch.uint8)
    label[:, :20, :30] = 0  # the upper part is a mistake of the network
    return {"image": MetaTensor(image), "label": MetaTensor(label)}


def evaluated(handler, scales):
    loader = DataLoader(ScaleDataset([left_half_dark(), left_half_dark()], scales), batch_size=1)
    evaluator = SupervisedEvaluator(torch.device("cpu"), loader, Dark(), val_handlers=[handler])
    evaluator.run()
    return evaluator.state.scale_panels


def test_middle_of_the_image_is_kept_at_every_scale():
    handler = PanelHandler((0.5, 1.0, 2.0), ("background", "nucleus"), image=1, field=20, side=40)
    panels = evaluated(handler, (0.5, 1.0, 2.0))
    assert panels.scales == (0.5, 1.0, 2.0) and panels.num_heads == 2
    assert panels.images.shape == (3, 40, 40, 3) and panels.images.dtype == np.uint8
    half = np.zeros((40, 40), dtype=np.uint8)
    half[:, :20] = 1
    for k in range(3):
        np.testing.assert_array_equal(panels.predictions[k], half)
        away = np.abs(np.arange(40) - 19.5) > 4  # from the edge, which resampling blurs
        np.testing.assert_array_equal(panels.images[k][:, away, 0], 255 * (1 - half[:, away]))
        np.testing.assert_array_equal(panels.labels[k], half * (np.arange(40) >= 20)[:, None])
        assert (panels.winners[k] == 1).all()
    assert panels.scores == pytest.approx((0.5, 0.5, 0.5))


def test_an_image_that_was_not_evaluated_has_no_pictures():
    handler = PanelHandler((1.0,), ("background", "nucleus"), image=7)
    assert evaluated(handler, (1.0,)) is None
