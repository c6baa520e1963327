"""What a slide is, whatever its format: levels of pixels, and what the file knows about their size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from monai_seunet.data.reader import RASTER_SUFFIXES, image_stem, plausible_mpp
from monai_seunet.errors import InputError

WHITE = 255
# Formats that OpenSlide alone reads. TIFF is left out: it may be a scanner's, or a plain one.
VENDOR_SUFFIXES = (".svs", ".svslide", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".dcm", ".czi")
TIFF_SUFFIXES = (".tif", ".tiff")
SUFFIXES = (*RASTER_SUFFIXES, *VENDOR_SUFFIXES)  # that `open_slide` reads


class Level(NamedTuple):
    """Size of one level in pixels, and how many base pixels (a side) one of its pixels covers."""

    height: int
    width: int
    downsample: float


class Slide(ABC):
    """An image that is read region by region; a context manager.

    Can be pickled: the copy opens the file again, which is how worker processes get their own.
    Limits: serves one thread at a time; a forked process has to open its own, since it shares the place in the file.

    Args:
        path: the file.
        levels: the finest first.
        mpp: µm per base pixel (y, x) as the file says; what no microscope can have is dropped, with a note.
        objective_power: magnification of the objective, as the file says.
        vendor: which format it is.
        notes: what was done to the pixels on reading, for people.
    """

    def __init__(
        self,
        path: Path,
        levels: Sequence[Level],
        *,
        mpp: tuple[float, float] | None,
        objective_power: float | None,
        vendor: str,
        notes: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.levels = tuple(levels)
        self.vendor = vendor
        self.objective_power = objective_power if objective_power and 0.5 <= objective_power <= 200 else None
        plausible = mpp is None or (plausible_mpp(mpp[0]) is not None and plausible_mpp(mpp[1]) is not None)
        self.mpp = mpp if plausible else None
        if mpp is not None and not plausible:
            notes = (*notes, f"the file's {mpp[1]:g} µm per pixel cannot be, so they are left out")
        self.notes = tuple(notes)

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

        Law: a region holds the same pixels whether it is read alone or as a part of a larger one.

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
            try:
                inside = self._read_inside(level, top, left, bottom - top, right - left)
            except Exception as error:  # each library has its own errors for damaged pixels
                raise InputError(
                    f"{self.path}: level {level}, rows {top} to {bottom}, columns {left} to {right} cannot be read "
                    f"({first_line(error)}); the file is damaged: copy or export it again"
                ) from error
            result[top - y : bottom - y, left - x : right - x] = inside
        return result

    @abstractmethod
    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        """`read` of a region that lies in the level and is not empty."""

    def for_thread(self) -> Slide:
        """The same slide for another thread, which closes it."""
        return open_slide(self.path)

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


def open_slide(path: str | Path) -> Slide:
    """Open a slide or an image of any format that can be read.

    OpenSlide opens the formats of scanners. Other TIFF files, also tiled ones that OpenSlide would open as generic, go
    through tifffile, which knows pyramids in sub-IFDs, OME's sizes and 16 bits. All other formats are held in memory.

    Raises:
        InputError: for a file that is missing, empty, damaged or of an unknown format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {'a folder' if path.is_dir() else 'no such file'}; give the file of a slide")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy it again")
    suffix = path.suffix.lower()
    from monai_seunet.slides.openslide_source import OpenSlideSlide, detect_vendor

    vendor = detect_vendor(path)
    if vendor not in (None, "generic-tiff"):
        return OpenSlideSlide(path)
    if vendor is None and suffix in VENDOR_SUFFIXES:
        raise InputError(f"{path}: no {suffix} slide that OpenSlide knows, or a damaged one; copy or export it again")
    if vendor == "generic-tiff" or suffix in TIFF_SUFFIXES:
        from monai_seunet.slides.tiff_source import TiffSlide

        return TiffSlide(path)
    if image_stem(path) is None:
        raise InputError(f"{path}: unknown format; give a slide ({', '.join(VENDOR_SUFFIXES)}), TIFF, PNG or JPEG")
    from monai_seunet.slides.raster_source import RasterSlide

    return RasterSlide(path)


def is_slide_name(path: str | Path) -> bool:
    """Whether a file's name has a suffix that `open_slide` reads."""
    path = Path(path)
    return path.suffix.lower() in VENDOR_SUFFIXES or image_stem(path) is not None


def find_slides(folder: str | Path) -> list[Path]:
    """All files of a folder, not of its subfolders, that `open_slide` reads by their names; sorted.

    Hidden files are left out, and JPEG files that are parts of a Hamamatsu slide (`.vms`, `.vmu`).
    Limits: a DICOM slide is listed once for each of its files: name one of them instead.

    Raises:
        InputError: where the folder is missing or holds none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of slides")
    found = sorted(path for path in folder.iterdir() if path.is_file() and is_slide_name(path))
    whole = tuple(path.stem for path in found if path.suffix.lower() in (".vms", ".vmu"))
    found = [
        path
        for path in found
        if not path.name.startswith(".") and not (path.suffix.lower() == ".jpg" and path.name.startswith(whole))
    ]
    if not found:
        raise InputError(f"{folder}: holds no slide or image that can be read; give another folder")
    return found


def pyramid_level(base: tuple[int, int], size: tuple[int, int]) -> Level:
    """The level of `size` (height, width) in a pyramid over `base`.

    Pyramids are made by whole factors, and what is left over at the end of a row is cut off or filled up: where a whole
    factor explains both sides to a pixel, it is the downsampling; else the mean of both sides' ratios.
    """
    ratio = (base[0] / size[0] + base[1] / size[1]) / 2
    whole = round(ratio)
    fits = all(abs(before / whole - after) < 1 for before, after in zip(base, size, strict=True))
    return Level(size[0], size[1], float(whole) if fits else ratio)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
