"""What metrics take out of maps that are the same everywhere."""

import torch
from ignite.engine import Engine
from ignite.metrics import Accuracy
from monai.data import MetaTensor

from monai_seunet.metrics import patch_pairs, rich_by_heart


def item(probability, label):
    prediction = torch.tensor([1 - probability, probability]).view(2, 1, 1).expand(2, 4, 4)
    return {"pred": MetaTensor(prediction), "label": MetaTensor(torch.full((1, 4, 4), float(label)))}


def test_accuracy_and_the_share_of_rich_by_heart():
    batches = [[item(0.9, 1), item(0.2, 1)], [item(0.3, 0)], [item(0.6, 0)], [item(0.7, 1)]]
    engine = Engine(lambda engine, batch: batch)
    Accuracy(patch_pairs).attach(engine, "accuracy")
    Accuracy(rich_by_heart).attach(engine, "rich")
    metrics = engine.run(batches).metrics
    assert metrics == {"accuracy": 3 / 5, "rich": 3 / 5}
