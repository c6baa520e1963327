"""The common interface of all slides and images: levels, regions, pixel size and orientation."""

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
    """A transposition of rows and columns, followed by flips of the rows and the columns.

    References:
        TIFF 6.0, tag 274, which EXIF adopted.
    """

    transposed: bool = False
    rows_backwards: bool = False
    columns_backwards: bool = False

    def show(self, stored: np.ndarray) -> np.ndarray:
        """Return stored pixels (H, W, ...) in upright orientation."""
        shown = stored.swapaxes(0, 1) if self.transposed else stored
        return shown[:: -1 if self.rows_backwards else 1, :: -1 if self.columns_backwards else 1]

    def shown_size(self, height: Side, width: Side) -> tuple[Side, Side]:
        """Convert (height, width), or (y, x) pixel sizes, from stored to upright orientation; its own inverse."""
        return (width, height) if self.transposed else (height, width)

    def stored_region(self, region: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Convert a region (y, x, height, width) from upright to stored orientation.

        Args:
            region: (y, x, height, width) in the upright image.
            size: (height, width) of the upright image.
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
    """Return the orientation for a value of tag 274. Like viewers, it returns `AS_STORED` for an invalid value."""
    try:
        return _OF_TAG.get(int(tag), AS_STORED)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return AS_STORED


class Level(NamedTuple):
    """Size of one level in pixels, and the ratio between the side of its pixels and of base pixels."""

    height: int
    width: int
    downsample: float


class Choice(NamedTuple):
    """Selection of one image in a file that holds several; None lets the reader select the scan.

    Attributes:
        series: index of the image from 0, the same as in the notes of the reader.
        plane: index of the plane (focus, time, channel) in that image from 0.
    """

    series: int | None = None
    plane: int | None = None


SCAN = Choice()


class SkippedNote(str):
    """A note that names the images or planes that were skipped, and the option that reads them."""

    __slots__ = ()


class Slide(ABC):
    """An upright image that is read region by region; a context manager.

    A slide can be pickled for worker processes: the copy opens the file again.
    Limits: only one thread may read at a time. A forked process must open its own slide, because the file position is
    shared.

    Args:
        path: image or slide file.
        levels: stored levels, the finest first.
        sizes: pixel sizes in µm that the file states, the most reliable source first.
        objective_power: magnification of the objective that the file states.
        vendor: name of the format.
        notes: messages for users about choices, guesses and conversions.
        colours: colour encoding of the stored samples.
        orientation: transformation from the stored to the upright image.
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
        self.levels = tuple(Level(*orientation.shown_size(height, width), ratio) for height, width, ratio in levels)
        mpp, size_notes = agree_on_size(sizes)
        self.mpp = orientation.shown_size(*mpp) if mpp else None
        orientation_notes = ["turned upright by its orientation tag"] if orientation != AS_STORED else []
        self.notes = (*notes, *orientation_notes, *size_notes)

    @property
    def is_grey(self) -> bool:
        """Whether the file has one channel, so the three channels are equal."""
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
        """Read a region of one level as (height, width, 3) uint8, white outside the slide and where it is transparent.

        Invariant: a region has the same pixels whether it is read alone or as a part of a larger region.

        Args:
            level: index of the level; 0 is the finest.
            y: first row in pixels of that level; the region may extend beyond the slide.
            x: first column in pixels of that level.
            height: number of rows.
            width: number of columns.

        Raises:
            InputError: the file is damaged in this region.
        """
        size = self.levels[level]
        result = np.full((height, width, 3), WHITE, np.uint8)
        top, bottom = max(y, 0), min(y + height, size.height)
        left, right = max(x, 0), min(x + width, size.width)
        if top < bottom and left < right:
            upright_region = (top, left, bottom - top, right - left)
            stored_region = self.orientation.stored_region(upright_region, (size.height, size.width))
            try:
                inside = self._read_inside(level, *stored_region)
            except MemoryError:
                raise
            except Exception as error:  # each library raises different errors for damaged pixels
                raise InputError(
                    f"{self.path}: level {level}, rows {top} to {bottom}, columns {left} to {right} cannot be read "
                    f"({first_line(error)}); the file is damaged: copy or export it again"
                ) from error
            result[top - y : bottom - y, left - x : right - x] = self.orientation.show(inside)
        return result

    @abstractmethod
    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        """Read a region that is not empty and lies inside the level, in stored orientation."""

    def for_thread(self) -> Slide:
        """Open the same slide for another thread, which must close it."""
        kind, arguments = self.__reduce__()
        return kind(*arguments)

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


def pyramid_level(base: tuple[int, int], size: tuple[int, int]) -> Level:
    """Return the level of `size` (height, width) in a pyramid over `base` (height, width).

    Writers downsample by whole factors and crop or pad the last pixels. If one whole factor explains both sides to
    within a pixel, it is the downsampling. Otherwise the downsampling is the mean ratio of the two sides.

    >>> pyramid_level((1001, 803), (250, 200)).downsample
    4.0
    """
    ratio = (base[0] / size[0] + base[1] / size[1]) / 2
    whole = round(ratio)
    fits = whole > 0 and all(abs(before / whole - after) < 1 for before, after in zip(base, size, strict=True))
    return Level(size[0], size[1], float(whole) if fits else ratio)


def first_line(error: BaseException) -> str:
    """Return the first line of an error message, without ITK's source location."""
    lines = (line for line in str(error).splitlines() if line.strip() and not _ITK_LOCATION.match(line))
    return next(lines, type(error).__name__)


_ITK_LOCATION = re.compile(r"\S+\.(cxx|hxx|h):\d+:$")
