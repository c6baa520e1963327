"""Nuclei that touch, taken apart by directions: each component by itself, wherever it lies."""

import numpy as np
import pytest
import torch
from nuclei_fields import RULES, maps_of, painted, random_maps, rows_of
from scipy import ndimage
from touching_objects import agreement, in_8_bits, laid_out, pair, row, smooth_directions, triangle

from monai_seunet.slides.nuclei import direct
from monai_seunet.slides.nuclei.areas import Area
from monai_seunet.slides.nuclei.direct import ONE, direct_nuclei, join_small_parts
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.finder import NucleusFinder
from monai_seunet.slides.nuclei.rules import NucleusRules

SIZE = (200, 240)


def components_of(mask: np.ndarray) -> list[Area]:
    """4-connected components, each in its own box."""
    labels, _ = ndimage.label(mask)
    boxes = enumerate(ndimage.find_objects(labels), start=1)
    return [Area(labels[box] == number, box[0].start, box[1].start) for number, box in boxes]


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Instance map and directions of several clumps."""
    clumps = {(0, 0): triangle(16), (5, 100): row(12), (90, 5): pair(18), (110, 120): triangle(5)}
    numbers, towards = laid_out(SIZE, clumps)
    return numbers, in_8_bits(towards)


def random_scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blobs and directions that have nothing to do with each other."""
    mask = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SIZE), 3) > 0
    return mask.astype(int), in_8_bits(smooth_directions(seed + 10, SIZE, 3))


SCENES = {"touching": scene, "random": lambda: random_scene(0), "random too": lambda: random_scene(1)}


def split_map(components: list[Area], parts: list[np.ndarray]) -> np.ndarray:
    """The nuclei of all components in one map."""
    found = np.zeros(SIZE, np.int64)
    for component, own in zip(components, parts, strict=True):
        height, width = own.shape
        place = found[component.y : component.y + height, component.x : component.x + width]
        place[component.mask] = (own + found.max())[component.mask]
    return found


def same_parts(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def test_nuclei_that_touch_come_apart():
    numbers, directions = scene()
    components = components_of(numbers > 0)
    assert len(components) == 4 and numbers.max() == 12
    found = split_map(components, direct_nuclei(components, directions))
    pairs = np.unique(np.stack([found, numbers]).reshape(2, -1), axis=1)
    assert pairs.shape[1] == 13, "each nucleus is one of the true ones, pixel by pixel"
    blind = direct_nuclei(components, np.zeros_like(directions))
    assert split_map(components, blind).max() != 12, "the control: the directions tell them apart"


def test_nuclei_of_a_few_pixels_come_apart(monkeypatch):
    """At 10x a nucleus has a radius of two to three pixels."""
    clumps = {(0, 0): triangle(2), (0, 50): triangle(2.5), (50, 0): row(3), (50, 50): row(4)}
    numbers, towards = laid_out(SIZE, clumps)
    components, directions = components_of(numbers > 0), in_8_bits(towards)
    found = split_map(components, direct_nuclei(components, directions))
    assert agreement(found, numbers) > 0.97 and found.max() == numbers.max() == 14
    monkeypatch.setattr(direct, "CELLS_PER_PIXEL", (1,))
    assert split_map(components, direct_nuclei(components, directions)).max() < 10, "the control: cells of a pixel"


@pytest.mark.parametrize("name", SCENES)
def test_every_pixel_is_of_one_nucleus_and_every_nucleus_is_connected(name):
    numbers, directions = SCENES[name]()
    components = components_of(numbers > 0)
    parts = direct_nuclei(components, directions)
    assert len(parts) == len(components)
    for component, own in zip(components, parts, strict=True):
        assert own.dtype == np.int32 and np.array_equal(own > 0, component.mask)
        assert np.array_equal(np.unique(own[own > 0]), np.arange(1, own.max() + 1))
        for number in range(1, own.max() + 1):
            assert ndimage.label(own == number)[1] == 1


@pytest.mark.parametrize("name", SCENES)
def test_a_component_depends_on_no_other_one(name, monkeypatch):
    numbers, directions = SCENES[name]()
    components = components_of(numbers > 0)
    together = direct_nuclei(components, directions)
    assert same_parts(together, direct_nuclei(components[::-1], directions)[::-1])
    monkeypatch.setattr(direct, "BATCH_CELLS", 1)  # one at a time
    assert same_parts(together, [direct_nuclei([component], directions)[0] for component in components])
    assert same_parts(together, direct_nuclei(components, directions))


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(("down", "right"), [(1, 0), (37, 5), (16, 64)])
def test_a_component_does_not_depend_on_where_it_lies_or_what_is_around(name, down, right):
    numbers, directions = SCENES[name]()
    components = components_of(numbers > 0)
    draw = np.random.default_rng(1)
    around = draw.integers(-ONE, ONE + 1, (2, SIZE[0] + down + 9, SIZE[1] + right + 3)).astype(np.int8)
    inside = np.s_[:, down : down + SIZE[0], right : right + SIZE[1]]
    around[inside] = np.where(numbers > 0, directions, around[inside])
    moved = [Area(mask, y + down, x + right) for mask, y, x in components]
    expected = direct_nuclei(components, directions)
    assert same_parts(expected, direct_nuclei(moved, around))
    assert not same_parts(expected, direct_nuclei(components, -directions)), "the control: directions within count"


def test_large_components_and_small_ones_side_by_side():
    numbers, towards = laid_out(SIZE, {(2, 2): triangle(40), (190, 230): np.ones((1, 1)), (195, 3): np.ones((1, 2))})
    components, directions = components_of(numbers > 0), in_8_bits(towards)
    parts = direct_nuclei(components, directions)
    assert [own.max() for own in parts] == [3, 1, 1]
    assert [own.shape for own in parts] == [component.mask.shape for component in components]
    assert direct_nuclei([], directions) == [], "nothing is split into nothing"


def crumbled(seed: int, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    """A component in parts of all sizes."""
    draw = np.random.default_rng(seed)
    mask, count = ndimage.label(ndimage.gaussian_filter(draw.standard_normal(size), 3) > 0)
    mask = mask == 1 + np.bincount(mask.ravel(), minlength=count + 1)[1:].argmax()
    values = np.digitize(ndimage.gaussian_filter(draw.standard_normal(size), 1), [-0.1, 0, 0.1]) + 1
    parts, number = np.zeros(size, np.int32), 0
    for value in range(1, 5):
        found, count = ndimage.label(mask & (values == value))
        parts = np.where(found > 0, found + number, parts).astype(np.int32)
        number += count
    assert number > 10
    return parts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [4, 25])
def test_small_parts_go_to_the_parts_beside_them(seed, least):
    parts = crumbled(seed)
    before = parts.copy()
    joined = join_small_parts(parts, least)
    assert np.array_equal(parts, before) and joined.shape == parts.shape
    assert np.array_equal(joined > 0, parts > 0), "no pixel is lost, and none is won"
    areas = np.bincount(parts.ravel())
    large = [number for number in range(1, len(areas)) if areas[number] >= least]
    assert 0 < len(large) < len(areas) - 1
    assert set(np.unique(joined)) == {0, *large}
    for number in large:
        assert (joined[parts == number] == number).all(), "large parts keep what they have"
        assert ndimage.label(joined == number)[1] == 1, "and stay connected"


def test_a_crumb_between_two_parts_is_shared_by_the_way_to_them():
    parts = np.array([[1] * 9 + [2] * 4 + [3] * 9], np.int32).repeat(3, 0)
    joined = join_small_parts(parts, 13)
    assert np.array_equal(joined, np.array([[1] * 11 + [3] * 11]).repeat(3, 0))


def test_parts_that_are_all_large_stay_and_parts_that_are_all_small_are_one():
    parts = np.array([[0, 1, 1, 1], [2, 2, 2, 1], [2, 3, 3, 3]], np.int32)
    for least in (0, 3):
        assert np.array_equal(join_small_parts(parts, least), parts)
    assert np.array_equal(join_small_parts(parts, 1000), (parts > 0).astype(np.int32))
    assert not np.array_equal(join_small_parts(parts, 4), parts), "the control"


@pytest.mark.parametrize("seed", [0, 2])
def test_nuclei_of_maps_with_directions_are_disjoint_and_of_the_least_area(seed):
    maps = random_maps(seed)
    size = maps.groups.shape
    maps = maps._replace(directions=in_8_bits(smooth_directions(seed, size, 3)))
    found = find_nuclei(maps, RULES)
    assert len(found) > 50 and (found.areas >= RULES.min_area).all()
    assert rows_of(found) != rows_of(find_nuclei(maps._replace(directions=None), RULES))
    assert rows_of(found) != rows_of(find_nuclei(maps._replace(directions=-maps.directions), RULES))
    for mask in found.masks:
        assert ndimage.label(mask)[1] == 1


@pytest.mark.parametrize("specks", [0, 1])
def test_small_parts_cost_no_foreground_and_small_components_are_counted_as_dropped(specks):
    """A nucleus whose border pixels point elsewhere is as large as without them."""
    numbers, towards = laid_out(SIZE, {(20, 20): pair(18)})
    directions, mask = in_8_bits(towards), numbers > 0
    rim = mask & ~ndimage.binary_erosion(mask)
    directions[:, rim] = -directions[:, rim]
    mask[150:152, 9:11] = specks
    found = find_nuclei(maps_of(mask)._replace(directions=directions), NucleusRules(min_area=20, radius=0).at(1.0))
    assert len(found) == 2 and found.areas.sum() == (numbers > 0).sum() and found.dropped == specks


def test_a_finder_takes_directions_as_the_network_gives_them():
    numbers, directions = scene()
    mask = torch.from_numpy(np.stack([numbers == 0, numbers > 0])).double()
    towards, rules = torch.from_numpy(directions).double() / ONE, NucleusRules(min_area=1, radius=0)
    finder = NucleusFinder(0.5, rules)
    found = finder(mask, 1.0, towards)
    objects = find_nuclei(maps_of(numbers > 0)._replace(directions=directions), rules.at(0.5))
    assert np.array_equal(found, painted(objects, SIZE)) and found.max() == 12
    longer = 1.7 * towards
    assert np.array_equal(finder(mask, 1.0, longer), finder(mask, 1.0, longer.clamp(-1, 1)))
    assert finder(mask, 1.0).max() < 12, "the control: a watershed finds fewer"


def test_a_finder_that_knows_no_resolution_asks_what_is_around():
    """Of an image at any size the same is left out; where the resolution is known, 4 um2 decide."""
    mask = np.zeros((60, 200), bool)
    for left in range(5, 180, 30):
        mask[5:25, left : left + 20] = True  # 400 pixels
        mask[40:44, left : left + 6] = True  # 24 pixels, less than a tenth
    mask[40:47, 190:197] = True  # 49 pixels
    for size in (1, 2, 3):
        probabilities = torch.from_numpy(np.stack([~mask, mask]).repeat(size, 1).repeat(size, 2)).double()
        assert NucleusFinder(None)(probabilities, scale=size).max() == 7
        assert NucleusFinder(0.25)(probabilities, scale=size).max() == 6
        assert NucleusFinder(0.25)(probabilities, scale=1.0).max() == {1: 6, 2: 13, 3: 13}[size], "the control"
