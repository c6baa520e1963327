"""Positions of tiles in an image."""

from __future__ import annotations

from collections.abc import Sequence


def tile_starts(length: int, tile: int, stride: int) -> list[int]:
    """Return the starts of tiles along one axis at every `stride`; the last tile is shifted to end at `length`.

    Invariant: the tiles cover every position, lie inside the axis, and have strictly increasing starts.

    Args:
        length: length of the axis in pixels, at least `tile`.
        tile: length of a tile in pixels.
        stride: distance between the starts of two tiles in pixels, at most `tile`.

    Raises:
        ValueError: a tile is larger than the axis, or the stride leaves gaps.

    >>> tile_starts(1000, tile=400, stride=250)
    [0, 250, 500, 600]
    """
    if not 0 < tile <= length:
        raise ValueError(f"tile is {tile} pixels on an axis of {length}; it has to be between 1 and {length}")
    if not 0 < stride <= tile:
        raise ValueError(f"stride is {stride} for tiles of {tile} pixels; between 1 and {tile} leaves no gaps")
    last = length - tile
    return [*range(0, last, stride), last]


def tile_grid(size: Sequence[int], tile: int | Sequence[int], stride: int | Sequence[int]) -> list[tuple[slice, slice]]:
    """Divide an image into overlapping tiles in row-major order.

    Invariant: the tiles have equal size and cover every pixel. In the SEUNet paper, an image of 1000 x 1000 pixels has
    16 tiles with tile 400 and stride 200.

    Args:
        size: (H, W) of the image in pixels.
        tile: side of a tile in pixels, or (height, width).
        stride: distance between tiles in pixels, or (rows, columns).

    Returns:
        (row slice, column slice) of every tile.

    Raises:
        ValueError: a tile is larger than the image, or the stride leaves gaps.
    """
    height, width = _pair(tile)
    rows, columns = (tile_starts(*axis) for axis in zip(size, (height, width), _pair(stride), strict=True))
    return [(slice(y, y + height), slice(x, x + width)) for y in rows for x in columns]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second
