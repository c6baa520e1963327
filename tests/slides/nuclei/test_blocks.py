"""The nuclei of all blocks together are those of the whole slide at once, exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from nuclei_fields import RULES, discs, maps_of, painted, random_maps, rows_of
from touching_objects import in_canvas, pair, row, smooth_directions, triangle, true_directions

from monai_seunet.slides.blocks import Block, objects_of_block, plan_blocks
from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import Objects

SIDES = [17, 40, 64, 300]


class Reader:
    """Gives parts of maps and keeps which."""

    def __init__(self, maps: Maps) -> None:
        self.maps = maps
        self.geometries: list[tuple[int, ...]] = []

    def __call__(self, y0: int, x0: int, y1: int, x1: int) -> Maps:
        assert 0 <= y0 < y1 <= self.size[0] and 0 <= x0 < x1 <= self.size[1]
        self.geometries.append((y0, x0, y1, x1))
        part = np.s_[..., y0:y1, x0:x1]
        directions = None if self.maps.directions is None else self.maps.directions[part]
        return Maps(self.maps.probability[part], self.maps.groups[part], directions)

    @property
    def size(self) -> tuple[int, int]:
        return self.maps.groups.shape


def in_blocks(reader: Reader, side: int, **options: int) -> list[Objects]:
    options = {"margin": 8, **options}
    return [objects_of_block(reader, block, reader.size, RULES, **options) for block in plan_blocks(*reader.size, side)]


def crowded() -> np.ndarray:
    """Nuclei on borders and corners of blocks of 40, a long thin one through many, and shapes that turn back."""
    nuclei = [(40, 40, 9), (40, 20, 7), (80, 120, 11), (79, 139, 9), (0, 0, 8), (159, 199, 10), (120, 80, 1)]
    mask = discs((160, 200), *nuclei)
    mask[60:63, 3:197] = True  # through five blocks in a row
    mask[100:150, 50:53] = mask[100:150, 108:111] = True  # a U: its first pixel is in the left arm,
    mask[147:150, 50:111] = True  # most of it in other blocks
    mask[90:130, 150:153] = mask[85:130, 190:193] = mask[127:130, 150:193] = True  # first pixel in the right arm
    return mask


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", [0, 2])
def test_random_maps(seed: int, side: int) -> None:
    maps = random_maps(seed)
    assert rows_of(*in_blocks(Reader(maps), side)) == rows_of(find_nuclei(maps, RULES))


@pytest.mark.parametrize("side", SIDES)
def test_nuclei_on_borders_and_through_many_blocks(side: int) -> None:
    maps = maps_of(crowded())
    assert rows_of(*in_blocks(Reader(maps), side)) == rows_of(find_nuclei(maps, RULES))


def test_blocks_without_a_look_around_do_worse() -> None:
    """The control: cutting at the borders of blocks is noticed."""
    maps = maps_of(crowded())
    cut = [
        find_nuclei(Reader(maps)(*block), RULES, (block.y0, block.x0)) for block in plan_blocks(*maps.groups.shape, 40)
    ]
    assert rows_of(*cut) != rows_of(find_nuclei(maps, RULES))


def test_a_block_reads_no_more_than_it_needs() -> None:
    maps = maps_of(discs((400, 400), (150, 150, 9), (200, 150, 9), (290, 150, 9)))
    reader = Reader(maps)
    found = objects_of_block(reader, Block(100, 100, 200, 200), reader.size, RULES, margin=8)
    assert len(found) == 2
    assert reader.geometries == [(92, 92, 208, 208), (84, 84, 216, 216)], "the second nucleus ends at row 208"


def test_holes_at_the_rim_of_what_is_read_belong_to_their_nucleus() -> None:
    """A speck in a small hole of a nucleus of another block is not one of its own."""
    mask = discs((80, 80), (40, 40, 12))
    mask[38:43, 38:43] = False
    mask[40, 40] = True
    rules = RULES._replace(hole=24, min_area=1)
    whole = find_nuclei(maps_of(mask), rules)
    assert len(whole) == 1
    reader = Reader(maps_of(mask))
    blocks = plan_blocks(80, 80, 8)
    found = [objects_of_block(reader, block, reader.size, rules, margin=1) for block in blocks]
    assert rows_of(*found) == rows_of(whole)


@pytest.mark.parametrize(("side", "max_extent"), [(40, 30), (64, 60)])
@pytest.mark.parametrize("directed", [False, True])
def test_what_is_too_large_is_cut_along_blocks_without_gap_or_overlap(
    side: int, max_extent: int, directed: bool
) -> None:
    maps = maps_of(crowded())
    maps = with_directions(maps, smooth_directions(1, (160, 200), 4)) if directed else maps
    reader = Reader(maps)
    rules = RULES._replace(min_area=0)
    found = [
        objects_of_block(reader, block, reader.size, rules, margin=8, max_extent=max_extent)
        for block in plan_blocks(*reader.size, side)
    ]
    total = sum((painted(part, reader.size) > 0).astype(int) for part in found)
    assert np.array_equal(total, crowded().astype(int))
    notes = [note for part in found for note in part.notes]
    assert notes and all("larger than" in note for note in notes)
    longest = max(max(y1 - y0, x1 - x0) for y0, x0, y1, x1 in reader.geometries)
    assert longest <= side + 2 * max_extent
    assert not any(part.notes for part in in_blocks(reader, side, max_extent=400))


def test_all_foreground_is_cut_too() -> None:
    reader = Reader(maps_of(np.ones((100, 130), bool)))
    found = in_blocks(reader, 32, max_extent=20)
    assert sum(int(part.areas.sum()) for part in found) == 13_000


def test_no_foreground_gives_no_nuclei() -> None:
    reader = Reader(maps_of(np.zeros((50, 60), bool)))
    assert [len(part) for part in in_blocks(reader, 32)] == [0, 0, 0, 0]


def with_directions(maps: Maps, directions: torch.Tensor) -> Maps:
    return maps._replace(directions=(directions.clamp(-1, 1) * ONE).round().to(torch.int8).numpy())


def aimless(seed: int) -> Maps:
    """Blobs, and directions that have nothing to do with them."""
    maps = random_maps(seed)
    return with_directions(maps, smooth_directions(seed + 5, maps.groups.shape, 2 + 2 * seed))


def clumps() -> Maps:
    """Clumps on borders of blocks, with directions as a trained network gives them: noisy, unsure where two touch."""
    size, numbers, towards = (170, 210), np.zeros((170, 210), int), torch.zeros(2, 170, 210)
    places = {(0, 0): triangle(10), (0, 53): row(7), (3, 110): pair(11), (5, 165): triangle(8)}
    for corner, part in {**places, (57, 0): row(16), (63, 105): triangle(22)}.items():
        laid = in_canvas(part, size, corner)
        assert not (numbers * laid).any()
        numbers, towards = numbers + laid, towards + true_directions(laid)
    blurred = torch.nn.functional.avg_pool2d(towards, 3, stride=1, padding=1)
    noise = torch.randn(2, *size, generator=torch.Generator().manual_seed(3))
    return with_directions(maps_of(numbers > 0), blurred + 0.15 * noise)


DIRECTED = {"aimless": lambda: aimless(0), "aimless, smoother": lambda: aimless(2), "clumps": clumps}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", DIRECTED)
def test_nuclei_by_directions_are_those_of_the_whole_at_once(name: str, side: int) -> None:
    maps = DIRECTED[name]()
    whole = find_nuclei(maps, RULES)
    found = in_blocks(Reader(maps), side)
    assert rows_of(*found) == rows_of(whole)
    assert sum(part.dropped for part in found) == whole.dropped
    undirected = rows_of(find_nuclei(maps._replace(directions=None), RULES))
    assert undirected != rows_of(whole), "the control: the directions count"


def test_nuclei_by_directions_are_cut_by_blocks_that_do_not_look_around() -> None:
    maps = clumps()
    reader = Reader(maps)
    cut = [find_nuclei(reader(*block), RULES, (block.y0, block.x0)) for block in plan_blocks(*reader.size, 40)]
    assert rows_of(*cut) != rows_of(find_nuclei(maps, RULES))
    assert len(find_nuclei(maps, RULES)) >= 3 + 4 + 2 + 3 + 4 + 3


@pytest.mark.parametrize(("height", "width", "side"), [(10, 10, 3), (5, 70, 64), (64, 64, 64), (1, 1, 8)])
def test_every_pixel_is_in_one_block(height: int, width: int, side: int) -> None:
    seen = np.zeros((height, width), int)
    for block in plan_blocks(height, width, side):
        assert block.y1 - block.y0 <= side and block.x1 - block.x0 <= side
        seen[block.y0 : block.y1, block.x0 : block.x1] += 1
    assert (seen == 1).all()
    with pytest.raises(ValueError, match="side of a block is 0"):
        plan_blocks(height, width, 0)


def test_the_reader_may_be_any_function() -> None:
    read: Callable[..., Maps] = lambda y0, x0, y1, x1: Maps(np.zeros((3, y1 - y0, x1 - x0), np.uint8))  # noqa: E731
    assert len(objects_of_block(read, Block(0, 0, 9, 9), (9, 9), RULES)) == 0
