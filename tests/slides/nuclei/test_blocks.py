"""The nuclei of all blocks together are those of the whole slide at once, exactly."""

import numpy as np
import pytest
import torch
from nuclei_fields import RULES, discs, maps_of, painted, random_maps, rows_of
from touching_objects import in_8_bits, laid_out, pair, row, smooth_directions, triangle

from monai_seunet.slides.blocks import Block, objects_of_block, plan_blocks
from monai_seunet.slides.nuclei.areas import Maps
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


def in_blocks(reader: Reader, side: int, rules=RULES, margin: int = 8, **options: int) -> list[Objects]:
    blocks = plan_blocks(*reader.size, side)
    return [objects_of_block(reader, block, reader.size, rules, margin=margin, **options) for block in blocks]


def crowded() -> np.ndarray:
    """Nuclei on borders and corners of blocks of 40, a long thin one through many, and shapes that turn back."""
    nuclei = [(40, 40, 9), (40, 20, 7), (80, 120, 11), (79, 139, 9), (0, 0, 8), (159, 199, 10), (120, 80, 1)]
    mask = discs((160, 200), *nuclei)
    mask[60:63, 3:197] = True  # through five blocks in a row
    mask[100:150, 50:53] = mask[100:150, 108:111] = True  # a U: its first pixel is in the left arm,
    mask[147:150, 50:111] = True  # most of it in other blocks
    mask[90:130, 150:153] = mask[85:130, 190:193] = mask[127:130, 150:193] = True  # first pixel in the right arm
    return mask


def with_directions(maps: Maps, directions: torch.Tensor) -> Maps:
    return maps._replace(directions=in_8_bits(directions))


def aimless(seed: int) -> Maps:
    """Blobs, and directions that have nothing to do with them."""
    maps = random_maps(seed)
    return with_directions(maps, smooth_directions(seed + 5, maps.groups.shape, 2 + 2 * seed))


def clumps() -> Maps:
    """Clumps on borders of blocks, with directions as a trained network gives them: noisy, unsure where two touch."""
    places = {(0, 0): triangle(10), (0, 53): row(7), (3, 110): pair(11), (5, 165): triangle(8)}
    numbers, towards = laid_out((170, 210), {**places, (57, 0): row(16), (63, 105): triangle(22)})
    blurred = torch.nn.functional.avg_pool2d(towards, 3, stride=1, padding=1)
    noise = torch.randn(towards.shape, generator=torch.Generator().manual_seed(3))
    return with_directions(maps_of(numbers > 0), blurred + 0.15 * noise)


MAPS = {
    "random": lambda: random_maps(0),
    "random, smoother": lambda: random_maps(2),
    "crowded": lambda: maps_of(crowded()),
    "aimless": lambda: aimless(0),
    "aimless, smoother": lambda: aimless(2),
    "clumps": clumps,
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", MAPS)
def test_nuclei_of_blocks_are_those_of_the_whole_at_once(name, side):
    maps = MAPS[name]()
    whole, found = find_nuclei(maps, RULES), in_blocks(Reader(maps), side)
    assert rows_of(*found) == rows_of(whole)
    assert sum(part.dropped for part in found) == whole.dropped
    undirected = find_nuclei(maps._replace(directions=None), RULES)
    assert (rows_of(undirected) != rows_of(whole)) == (maps.directions is not None), "the control: directions count"


@pytest.mark.parametrize(("name", "nuclei"), [("crowded", 9), ("clumps", 3 + 4 + 2 + 3 + 4 + 3)])
def test_blocks_without_a_look_around_do_worse(name, nuclei):
    """The control: cutting at the borders of blocks is noticed."""
    reader = Reader(MAPS[name]())
    whole = find_nuclei(reader.maps, RULES)
    cut = [find_nuclei(reader(*block), RULES, (block.y0, block.x0)) for block in plan_blocks(*reader.size, 40)]
    assert rows_of(*cut) != rows_of(whole) and len(whole) >= nuclei


def test_a_block_reads_no_more_than_it_needs():
    maps = maps_of(discs((400, 400), (150, 150, 9), (200, 150, 9), (290, 150, 9)))
    reader = Reader(maps)
    found = objects_of_block(reader, Block(100, 100, 200, 200), reader.size, RULES, margin=8)
    assert len(found) == 2
    assert reader.geometries == [(92, 92, 208, 208), (84, 84, 216, 216)], "the second nucleus ends at row 208"


def test_holes_at_the_rim_of_what_is_read_belong_to_their_nucleus():
    """A speck in a small hole of a nucleus of another block is not one of its own."""
    mask = discs((80, 80), (40, 40, 12))
    mask[38:43, 38:43] = False
    mask[40, 40] = True
    rules = RULES._replace(hole=24, min_area=1)
    whole = find_nuclei(maps_of(mask), rules)
    assert len(whole) == 1
    assert rows_of(*in_blocks(Reader(maps_of(mask)), 8, rules, margin=1)) == rows_of(whole)


@pytest.mark.parametrize(("side", "max_extent"), [(40, 30), (64, 60)])
@pytest.mark.parametrize("directed", [False, True])
def test_what_is_too_large_is_cut_along_blocks_without_gap_or_overlap(side, max_extent, directed):
    maps = maps_of(crowded())
    reader = Reader(with_directions(maps, smooth_directions(1, (160, 200), 4)) if directed else maps)
    found = in_blocks(reader, side, RULES._replace(min_area=0), max_extent=max_extent)
    total = sum((painted(part, reader.size) > 0).astype(int) for part in found)
    assert np.array_equal(total, crowded().astype(int))
    notes = [note for part in found for note in part.notes]
    assert notes and all("larger than" in note for note in notes)
    longest = max(max(y1 - y0, x1 - x0) for y0, x0, y1, x1 in reader.geometries)
    assert longest <= side + 2 * max_extent
    assert not any(part.notes for part in in_blocks(reader, side, max_extent=400))


def test_all_foreground_is_cut_too_and_no_foreground_gives_no_nuclei():
    everything, nothing = (Reader(maps_of(np.full((100, 130), value))) for value in (True, False))
    assert sum(int(part.areas.sum()) for part in in_blocks(everything, 32, max_extent=20)) == 13_000
    assert [len(part) for part in in_blocks(nothing, 32)] == 20 * [0]


@pytest.mark.parametrize(("height", "width", "side"), [(10, 10, 3), (5, 70, 64), (64, 64, 64), (1, 1, 8)])
def test_every_pixel_is_in_one_block(height, width, side):
    seen = np.zeros((height, width), int)
    for block in plan_blocks(height, width, side):
        assert block.y1 - block.y0 <= side and block.x1 - block.x0 <= side
        seen[block.y0 : block.y1, block.x0 : block.x1] += 1
    assert (seen == 1).all()
    with pytest.raises(ValueError, match="side of a block is 0"):
        plan_blocks(height, width, 0)


def test_the_reader_may_be_any_function():
    def read(y0: int, x0: int, y1: int, x1: int) -> Maps:
        return Maps(np.zeros((3, y1 - y0, x1 - x0), np.uint8))

    assert len(objects_of_block(read, Block(0, 0, 9, 9), (9, 9), RULES)) == 0
