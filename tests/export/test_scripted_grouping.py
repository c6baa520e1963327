"""Pixels are grouped to nuclei by TorchScript as by the package, on the same maps."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from monai_seunet.export.scripted.components import fill_objects, fill_small_holes, number_components
from monai_seunet.export.scripted.grouping import NucleusGrouping
from monai_seunet.metrics.objects.overlaps import object_overlaps
from monai_seunet.slides.nuclei import areas
from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.finder import instance_map
from monai_seunet.slides.nuclei.rules import NucleusRules

RULES = {
    "unknown": NucleusRules().at_unknown(),
    "known": NucleusRules().at(0.25),
    "all": NucleusRules(min_area=0).at_unknown(),
}


def drawn(height: int, width: int, count: int, seed: int = 0) -> Maps:
    """Maps of disks of many sizes that touch, with noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    nearest, probability = np.full((height, width), np.inf), np.zeros((height, width))
    towards = np.zeros((2, height, width))
    for _ in range(count):
        y, x, radius, sure = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(1.5, 14), rng.uniform(0.6, 1)
        distance = np.hypot(rows - y, columns - x)
        mine = (distance < radius) & (distance / radius < nearest)
        nearest[mine], probability[mine] = (distance / radius)[mine], sure
        towards[:, mine] = (np.stack([y - rows, x - columns]) / np.maximum(distance, 1))[:, mine]
    noisy = np.clip(probability + rng.normal(0, 0.1, probability.shape), 0, 1)
    towards = np.clip(towards + rng.normal(0, 0.1, towards.shape), -1, 1)
    groups = rng.integers(0, 6, (height, width)).astype(np.uint8)
    return Maps(np.rint(noisy * 255).astype(np.uint8)[None], groups, np.rint(towards * 127).astype(np.int8))


def tensors(maps: Maps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The foreground, the directions and the groups as the model has them."""
    parts = (maps.probability[0], maps.directions, maps.groups)
    foreground, directions, groups = (torch.from_numpy(part.astype(np.int64)) for part in parts)
    return foreground, directions.float(), groups


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (61, 70)])
@pytest.mark.parametrize("diagonal", [False, True])
def test_components_are_those_of_scipy(size, diagonal, generator):
    mask = torch.rand(size, generator=generator) < 0.55
    expected, _ = ndimage.label(mask.numpy(), np.ones((3, 3)) if diagonal else None)
    numbers = torch.jit.script(number_components)(mask.long(), diagonal)
    assert np.array_equal(numbers.numpy(), expected)
    if min(size) > 1:
        holes = fill_small_holes(mask, 5).numpy()
        assert np.array_equal(holes, areas.fill_small_holes(mask.numpy(), 5)) and (holes != mask.numpy()).any()


def test_holes_of_one_object_are_filled():
    ring = torch.ones(9, 9, dtype=torch.int64)
    ring[2:5, 2:5] = 0
    ring[6, 3:7], ring[7, 5] = 2, 0  # a hole between two objects stays, and so does background at the rim
    ring[:, 8] = 0
    filled = fill_objects(ring)
    assert (filled[2:5, 2:5] == 1).all() and filled[7, 5] == 0 and (filled[:, 8] == 0).all()


@pytest.fixture(scope="module", params=RULES)
def grouping(request):
    rules = RULES[request.param]
    return rules, torch.jit.script(NucleusGrouping(rules, 6))


@pytest.mark.parametrize(("size", "count"), [((1, 1), 0), ((40, 30), 0), ((64, 64), 6), ((230, 210), 70)])
def test_nuclei_are_those_of_slides(grouping, size, count):
    rules, grouped = grouping
    maps = drawn(*size, count)
    objects = find_nuclei(maps, rules)
    expected = instance_map(objects, size)
    labels, table = grouped(*tensors(maps), -1.0)
    assert (
        labels.shape == size and int(labels.max()) == len(objects) == len(table) and (count == 0) == (not len(objects))
    )
    if len(objects) == 0:
        return
    overlaps = object_overlaps(expected, labels.numpy())
    best = overlaps.iou > 0.9
    assert best.sum() == len(objects)  # small parts that are equally near to two nuclei may belong to either
    assert (labels.numpy() != expected).mean() < 0.02
    if rules.min_area == 0:  # no small parts
        assert np.array_equal(labels.numpy(), expected)
        assert np.allclose(table[:, 0], objects.confidences, atol=1e-6)
        assert np.array_equal(table[:, 1], objects.groups + 1)


def test_without_directions_touching_nuclei_are_one():  # the control
    maps = drawn(230, 210, 70)
    foreground, directions, groups = tensors(maps)
    labels, _ = NucleusGrouping(RULES["known"], 6)(foreground, torch.zeros_like(directions), groups, -1.0)
    assert int(labels.max()) < 0.8 * len(find_nuclei(maps, RULES["known"]))


def test_a_least_area_takes_the_place_of_the_share():
    maps = drawn(120, 120, 30)
    labels, _ = NucleusGrouping(RULES["unknown"], 6)(*tensors(maps), 300.0)
    found = torch.bincount(labels.flatten())[1:]
    assert len(found) and found.min() >= 300
    assert found.numel() == len(find_nuclei(maps, NucleusRules(min_area=300 / 16).at(0.25)))
