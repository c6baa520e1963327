"""Where tiles lie in an image."""

from __future__ import annotations

from collections.abc import Sequence


def tile_starts(length: int, tile: int, stride: int) -> list[int]:
    """Where tiles start along one axis: every `stride`, the last one shifted back so that it ends at `length`.

    Invariant: the tiles cover every position; none reaches outside; starts rise strictly.

    Args:
        length: pixels along the axis, at least `tile`.
        tile: pixels of a tile.
        stride: pixels from one tile to the next, at most `tile`.

    Raises:
        ValueError: where a tile is larger than the axis, or a stride would leave gaps.
    """
    if not 0 < tile <= length:
        raise ValueError(f"tile is {tile} pixels on an axis of {length}; it has to be between 1 and {length}")
    if not 0 < stride <= tile:
        raise ValueError(f"stride is {stride} for tiles of {tile} pixels; between 1 and {tile} leaves no gaps")
    last = length - tile
    return [*range(0, last, stride), last]


def tile_grid(size: Sequence[int], tile: int | Sequence[int], stride: int | Sequence[int]) -> list[tuple[slice, slice]]:
    """Cut an image into overlapping tiles that cover it exactly, row by row.

    Invariant: every pixel is in at least one tile, all tiles have the same size. 1000 x 1000 with tile 400 and stride
    200 gives the 16 tiles of the SEUNet paper.

    Args:
        size: (H, W) in pixels.
        tile: side of a tile, or (height, width).
        stride: step between tiles, or (rows, columns).

    Returns:
        (rows, columns) slices of every tile.

    Raises:
        ValueError: see `tile_starts`.
    """
    starts, sides = [], _pair(tile)
    for length, side, step in zip(size, sides, _pair(stride), strict=True):
        starts.append(tile_starts(length, side, step))
    height, width = sides
    return [(slice(y, y + height), slice(x, x + width)) for y in starts[0] for x in starts[1]]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second
