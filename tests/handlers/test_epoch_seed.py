"""The data of an epoch depend on seed, epoch and rank, and on nothing else."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import RandGaussianNoised

from monai_seunet.handlers import EpochSeedHandler


def loader(num_workers=0, **options):
    items = [{"image": torch.full((1, 2, 2), float(k))} for k in range(6)]
    data = Dataset(items, RandGaussianNoised("image", prob=1))
    return DataLoader(data, num_workers, batch_size=2, shuffle=True, **options)


def epoch(data_loader, seed=0, number=1, rank=0, disturb=0):
    torch.rand(disturb), random.random(), np.random.rand(disturb + 1)  # noqa: NPY002 (the global generator is the subject)
    EpochSeedHandler(seed, data_loader)(SimpleNamespace(state=SimpleNamespace(epoch=number, rank=rank)))
    images = torch.cat([batch["image"].as_tensor() for batch in data_loader])
    return images, random.random(), np.random.rand()  # noqa: NPY002


@pytest.mark.parametrize("num_workers", [0, 2])
def test_an_epoch_can_be_repeated(num_workers):
    once = loader(num_workers)
    epoch(once, number=1)
    second = epoch(once, number=2)
    repeated = epoch(loader(num_workers), number=2, disturb=5)
    assert torch.equal(second[0], repeated[0]) and second[1:] == repeated[1:]


@pytest.mark.parametrize("other", [{"seed": 1}, {"number": 2}, {"rank": 1}])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_another_seed_epoch_or_rank_gives_other_data(num_workers, other):
    here, there = epoch(loader(num_workers)), epoch(loader(num_workers), **other)
    assert not torch.equal(here[0], there[0]) and here[1] != there[1] and here[2] != there[2]
    assert here[0].mean() != there[0].mean()  # other noise, not only another order


def test_workers_that_keep_their_state_are_refused():
    with pytest.raises(ValueError, match="persistent_workers"):
        EpochSeedHandler(0, loader(2, persistent_workers=True))
