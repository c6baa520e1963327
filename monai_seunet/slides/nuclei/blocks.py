"""Nuclei of a whole slide block by block, none cut, none counted twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from monai_seunet.slides.nuclei.find import nuclei_of
from monai_seunet.slides.nuclei.foreground import Area, Components, find_components
from monai_seunet.slides.nuclei.measure import Maps
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import PixelRules

MARGIN = 64  # pixels read around a block at first
MAX_EXTENT = 1536  # pixels; with blocks of 1024 at most 4096 x 4096 are in memory

ReadMaps = Callable[[int, int, int, int], Maps]


class Block(NamedTuple):
    """A rectangle of pixels; the end is not included."""

    y0: int
    x0: int
    y1: int
    x1: int


def plan_blocks(height: int, width: int, side: int = 1024) -> list[Block]:
    """Tile an area by squares, row by row; the last of a row or column may be smaller.

    Invariant: every pixel is in exactly one block.

    Args:
        height: pixels.
        width: pixels.
        side: of a block, in pixels.
    """
    if side < 1:
        raise ValueError(f"the side of a block is {side}; it has to be positive")
    return [
        Block(y, x, min(y + side, height), min(x + side, width))
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]


def objects_of_block(
    read_maps: ReadMaps,
    block: Block,
    size: tuple[int, int],
    rules: PixelRules,
    margin: int = MARGIN,
    max_extent: int = MAX_EXTENT,
) -> Objects:
    """Find the nuclei of the connected components that have their first pixel (by row, then column) in a block.

    As long as a component of the block runs out of what was read, more is read around it.
    Invariant: the nuclei of all blocks together are those of the whole slide at once (`find_nuclei`), whatever the
    blocks.
    Limits: a component that is higher or wider than `max_extent` is cut along the blocks, each of which takes its own
    part; `notes` of the nuclei say where. Memory is bounded by the block and twice `max_extent`.

    Args:
        read_maps: gives the maps of y0, x0, y1, x1, within the slide.
        block: of the plan.
        size: height and width of the slide at the working resolution.
        rules: of this resolution.
        margin: pixels read around the block at first.
        max_extent: pixels.
    """
    margin = min(max(margin, rules.hole + 1), max_extent)  # a hole at the rim of what was read cannot be a small one
    while True:
        geometry = _grown(block, margin, size)
        maps = read_maps(*geometry)
        found = find_components(maps.probability, rules)
        core = Block(block.y0 - geometry.y0, block.x0 - geometry.x0, block.y1 - geometry.y0, block.x1 - geometry.x0)
        inside = np.bincount(found.labels[core.y0 : core.y1, core.x0 : core.x1].ravel(), minlength=len(found.areas))
        here = [number for number in range(1, len(found.areas)) if inside[number]]
        large = {number for number in here if _extent(found, number) > max_extent}
        if margin == max_extent or not any(_is_cut(found, n, geometry, size) for n in here if n not in large):
            break
        margin = min(2 * margin, max_extent)
    components: list[Area] = []
    notes: list[str] = []
    for number in here:
        if number in large:
            components += _parts(found, number, core)
            notes.append(_note(found, number, geometry, max_extent))
        elif _starts_in(found, number, core):
            components.append(found.area(number))
    return nuclei_of(components, maps, rules, (geometry.y0, geometry.x0), tuple(notes))


def _grown(block: Block, margin: int, size: tuple[int, int]) -> Block:
    return Block(
        max(block.y0 - margin, 0),
        max(block.x0 - margin, 0),
        min(block.y1 + margin, size[0]),
        min(block.x1 + margin, size[1]),
    )


def _extent(found: Components, number: int) -> int:
    rows, columns = found.slices[number - 1]
    return max(rows.stop - rows.start, columns.stop - columns.start)


def _is_cut(found: Components, number: int, geometry: Block, size: tuple[int, int]) -> bool:
    """Whether a component reaches an end of what was read that is not the end of the slide."""
    rows, columns = found.slices[number - 1]
    return (
        (rows.start == 0 and geometry.y0 > 0)
        or (columns.start == 0 and geometry.x0 > 0)
        or (rows.stop == geometry.y1 - geometry.y0 and geometry.y1 < size[0])
        or (columns.stop == geometry.x1 - geometry.x0 and geometry.x1 < size[1])
    )


def _starts_in(found: Components, number: int, core: Block) -> bool:
    """Whether the first pixel of a component lies in the block."""
    rows, columns = found.slices[number - 1]
    column = columns.start + int((found.labels[rows.start, columns] == number).argmax())
    return core.y0 <= rows.start < core.y1 and core.x0 <= column < core.x1


def _parts(found: Components, number: int, core: Block) -> list[Area]:
    """What a component has within the block, taken apart where it is not connected there."""
    pieces, _ = ndimage.label(found.labels[core.y0 : core.y1, core.x0 : core.x1] == number)
    return [
        Area(pieces[rows, columns] == piece, core.y0 + rows.start, core.x0 + columns.start)
        for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1)
    ]


def _note(found: Components, number: int, geometry: Block, max_extent: int) -> str:
    rows, columns = found.slices[number - 1]
    return (
        f"connected foreground at row {geometry.y0 + rows.start}, column {geometry.x0 + columns.start} is larger than "
        f"{max_extent} pixels; it was cut along blocks"
    )
