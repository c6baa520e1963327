from __future__ import annotations

import pytest
import torch
from monai.data import DataLoader, MetaTensor, decollate_batch

from monai_seunet.evaluation import ScaleDataset
from monai_seunet.metrics.objects.scores import COLUMNS, count_objects
from monai_seunet.transforms import CheckInstances
from monai_seunet.transforms.spatial.array import RescaleByFactor
from monai_seunet.utils.errors import InputError


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
    dataset = ScaleDataset(CountingImages(), (0.5, 2.0))
    seen = [
        (item["label"].meta["test_scale"], item["label"].meta["test_image"])
        for batch in DataLoader(dataset, batch_size=1, num_workers=0)
        for item in decollate_batch(batch)
    ]
    assert [(float(scale), int(image)) for scale, image in seen] == [(0.5, 0), (2.0, 0), (0.5, 1), (2.0, 1)]


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
