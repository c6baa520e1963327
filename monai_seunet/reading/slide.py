"""What an image is, whatever its format: levels of pixels, and what the file knows about their size."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from monai_seunet.reading.colours import RGB, WHITE, Colours
from monai_seunet.reading.pixel_size import PixelSize, agree_on_size
from monai_seunet.utils.errors import InputError

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


class Level(NamedTuple):
    """Size of one level in pixels, and how many base pixels (a side) one of its pixels covers."""

    height: int
    width: int
    downsample: float


class Choice(NamedTuple):
    """Which image of a file that holds several is meant; None leaves it to the reader, which takes the scan.

    Attributes:
        series: number of the image, from 0, as notes of the reader count them.
        plane: number of the plane (focus, time, channel) within it, from 0.
    """

    series: int | None = None
    plane: int | None = None


SCAN = Choice()


class SkippedNote(str):
    """A note on images or planes of a file that are not read, and on the option that reads them."""

    __slots__ = ()


class Slide(ABC):
    """An image that is read region by region, as people see it; a context manager.

    Can be pickled: the copy opens the file again, which is how worker processes get their own.
    Limits: serves one thread at a time; a forked process has to open its own, since it shares the place in the file.

    Args:
        path: the file.
        levels: as they are stored, the finest first.
        sizes: what the file says about µm per stored pixel, the most reliable source first.
        objective_power: magnification of the objective, as the file says.
        vendor: which format it is.
        notes: what was chosen, guessed or changed on reading, for people.
        colours: what the stored samples mean.
        orientation: how the stored levels are turned to be seen.
    """

    def __init__(
        self,
        path: Path,
        levels: Sequence[Level],
        *,
        sizes: Sequence[PixelSize] = (),
        objective_power: float | None = None,
        vendor: str,
        notes: Sequence[str] = (),
        colours: Colours = RGB,
        orientation: Orientation = AS_STORED,
    ) -> None:
        self.path = path
        self.vendor = vendor
        self.colours = colours
        self.orientation = orientation
        self.objective_power = objective_power if objective_power and 0.5 <= objective_power <= 200 else None
        self.levels = tuple(
            Level(*orientation.shown_size(level.height, level.width), level.downsample) for level in levels
        )
        mpp, on_size = agree_on_size(sizes)
        self.mpp = orientation.shown_size(*mpp) if mpp else None
        turned = ["turned to be upright, as its orientation tag says"] if orientation != AS_STORED else []
        self.notes = (*notes, *turned, *on_size)

    @property
    def is_grey(self) -> bool:
        """Whether the three channels are equal everywhere because the file has one."""
        return self.colours.is_grey

    @property
    def height(self) -> int:
        """Rows of the finest level."""
        return self.levels[0].height

    @property
    def width(self) -> int:
        """Columns of the finest level."""
        return self.levels[0].width

    def read(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        """Pixels of a region of one level, (height, width, 3) uint8; white outside the slide and where it is clear.

        Invariant: a region holds the same pixels whether it is read alone or as a part of a larger one.

        Args:
            level: 0 is the finest.
            y: first row, in pixels of that level; may lie outside, as may all others.
            x: first column.
            height: rows.
            width: columns.

        Raises:
            InputError: where the file is damaged there.
        """
        size = self.levels[level]
        result = np.full((height, width, 3), WHITE, np.uint8)
        top, bottom = max(y, 0), min(y + height, size.height)
        left, right = max(x, 0), min(x + width, size.width)
        if top < bottom and left < right:
            seen = (top, left, bottom - top, right - left)
            stored = self.orientation.stored_region(seen, (size.height, size.width))
            try:
                inside = self._read_inside(level, *stored)
            except MemoryError:
                raise
            except Exception as error:  # each library has its own errors for damaged pixels
                raise InputError(
                    f"{self.path}: level {level}, rows {top} to {bottom}, columns {left} to {right} cannot be read "
                    f"({first_line(error)}); the file is damaged: copy or export it again"
                ) from error
            result[top - y : bottom - y, left - x : right - x] = self.orientation.show(inside)
        return result

    @abstractmethod
    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        """`read` of a region that lies in the level and is not empty, in rows and columns as they are stored."""

    @abstractmethod
    def for_thread(self) -> Slide:
        """The same slide for another thread, which closes it."""

    @abstractmethod
    def close(self) -> None:
        """Give the file back."""

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


def pyramid_level(base: tuple[int, int], size: tuple[int, int]) -> Level:
    """The level of `size` (height, width) in a pyramid over `base`.

    Pyramids are made by whole factors, and what is left over at the end of a row is cut off or filled up: where a whole
    factor explains both sides to a pixel, it is the downsampling; else the mean of both sides' ratios.
    """
    ratio = (base[0] / size[0] + base[1] / size[1]) / 2
    whole = round(ratio)
    fits = whole > 0 and all(abs(before / whole - after) < 1 for before, after in zip(base, size, strict=True))
    return Level(size[0], size[1], float(whole) if fits else ratio)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = (line for line in str(error).splitlines() if line.strip() and not _PLACE.match(line))
    return next(lines, type(error).__name__)


_PLACE = re.compile(r"\S+\.(cxx|hxx|h):\d+:$")  # in the source of ITK, which its errors begin with
