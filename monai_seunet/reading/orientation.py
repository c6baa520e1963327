"""How an image is turned and mirrored before people see it: tag 274 of EXIF and TIFF."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

Side = TypeVar("Side", int, float)


class Orientation(NamedTuple):
    """First rows and columns change places, if they do; then rows, columns or both run backwards.

    References:
        TIFF 6.0, tag 274; EXIF has it from there.
    """

    transposed: bool = False
    rows_backwards: bool = False
    columns_backwards: bool = False

    def show(self, stored: np.ndarray) -> np.ndarray:
        """Stored pixels (H, W, ...) as people see them."""
        shown = stored.swapaxes(0, 1) if self.transposed else stored
        return shown[:: -1 if self.rows_backwards else 1, :: -1 if self.columns_backwards else 1]

    def shown_size(self, height: Side, width: Side) -> tuple[Side, Side]:
        """Rows and columns, or the sizes of their pixels, as people see them, of those stored; and back."""
        return (width, height) if self.transposed else (height, width)

    def stored_region(self, region: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Where a region that is seen lies in what is stored.

        Args:
            region: (y, x, height, width) as people see it.
            size: rows and columns of the whole image as people see it.
        """
        y, x, height, width = region
        y = size[0] - y - height if self.rows_backwards else y
        x = size[1] - x - width if self.columns_backwards else x
        return (x, y, width, height) if self.transposed else (y, x, height, width)


AS_STORED = Orientation()
_OF_TAG = {
    1: AS_STORED,
    2: Orientation(False, False, True),
    3: Orientation(False, True, True),
    4: Orientation(False, True, False),
    5: Orientation(True, False, False),
    6: Orientation(True, False, True),
    7: Orientation(True, True, True),
    8: Orientation(True, True, False),
}


def orientation_of(tag: object) -> Orientation:
    """The orientation of the value of tag 274; as stored where there is none or it has no meaning, as viewers do."""
    try:
        return _OF_TAG.get(int(tag), AS_STORED)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return AS_STORED
