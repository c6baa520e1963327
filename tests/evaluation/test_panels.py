from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from torch import nn

from monai_seunet.evaluation import PanelHandler, ScaleDataset, scale_grid
from monai_seunet.evaluation.panels import nearest_powers_of_two


@pytest.mark.parametrize(
    ("scales", "chosen"),
    [
        (scale_grid(), [0.25, 0.5, 1.0, 2.0, 4.0]),
        (scale_grid(0.5, 3.0, 3), [0.5, 1.0, 2.0]),
        ([1.1, 1.3], [1.1]),
    ],
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
    from monai.data import DataLoader

    data = ScaleDataset([left_half_dark(), left_half_dark()], scales)
    loader = DataLoader(data, batch_size=1)
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
