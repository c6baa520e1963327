"""Slides of scanners, read through OpenSlide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from openslide import OpenSlide, OpenSlideError

from monai_seunet.reading.colours import WHITE, on_white
from monai_seunet.reading.pixel_size import LARGEST_OF_SCANNER, UM_PER_CM, UM_PER_INCH, PixelSize, number, pixel_size
from monai_seunet.reading.slide import Level, Slide, first_line, pyramid_level
from monai_seunet.utils.errors import InputError

# Side of the pieces that levels are read in whose pixels OpenSlide cannot address exactly.
BLOCK = 512


class OpenSlideSlide(Slide):
    """A slide that OpenSlide reads: the levels of the scan alone, not its label or overview pictures.

    OpenSlide takes the place of a region in base pixels. Where a level is not a whole number of times smaller, that
    place lies between the level's pixels, and OpenSlide interpolates, differently for each region. Such levels are read
    in fixed blocks, so that a pixel has one value.
    Some scanners put the scan on a far larger canvas. Then the slide is the part that the file calls its bounds, as for
    QuPath, in whose pixels results are given; coarser levels start at the pixel next to its corner.

    Raises:
        InputError: for a file that OpenSlide cannot open.

    References:
        `OpenslideImageServer.java` of QuPath: what it takes for the slide.
    """

    def __init__(self, path: Path) -> None:
        self._handle: OpenSlide | None = _open(path)
        properties = self._handle.properties
        base, *_ = sizes = [(height, width) for width, height in self._handle.level_dimensions]
        self._downsamples = self._handle.level_downsamples
        levels = [pyramid_level(base, size) for size in sizes]
        bounds = _bounds(properties, base)
        self._corner = (0, 0)
        if bounds is not None:
            top, left, height, width = bounds
            self._corner = (top, left)
            levels = [Level(max(1, int(height / d)), max(1, int(width / d)), d) for _, _, d in levels]
        super().__init__(
            path,
            levels,
            sizes=_sizes(properties),
            objective_power=number(properties.get("openslide.objective-power")),
            vendor=properties.get("openslide.vendor", "openslide"),
        )

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        if float(self._downsamples[level]).is_integer():
            return self._region(level, y, x, height, width)
        size = self.levels[level]
        result = np.empty((height, width, 3), np.uint8)
        for top in range(y - y % BLOCK, y + height, BLOCK):
            for left in range(x - x % BLOCK, x + width, BLOCK):
                block = self._region(level, top, left, min(BLOCK, size.height - top), min(BLOCK, size.width - left))
                rows = slice(max(top, y), min(top + BLOCK, y + height))
                columns = slice(max(left, x), min(left + BLOCK, x + width))
                part = block[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
                result[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x] = part
        return result

    def _region(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        """OpenSlide's pixels on white, (height, width, 3)."""
        if self._handle is None:
            self._handle = _open(self.path)
        downsample = self._downsamples[level]
        base_y, base_x = (
            round((round(corner / downsample) + place) * downsample)
            for corner, place in zip(self._corner, (y, x), strict=True)
        )
        try:
            rgba = np.asarray(self._handle.read_region((base_x, base_y), level, (width, height)))
        except OpenSlideError:
            self.close()  # OpenSlide answers every later call with the same error: the next read starts afresh
            raise
        alpha = rgba[:, :, 3:]
        if alpha.min() == WHITE:
            return rgba[:, :, :3]
        return on_white(rgba[:, :, :3], alpha)

    def for_thread(self) -> OpenSlideSlide:
        """The same slide for another thread, which closes it."""
        return OpenSlideSlide(self.path)

    def close(self) -> None:
        """Give the file back; a later read opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def dicom_series(path: Path) -> str:
    """The series that a DICOM file belongs to, which is one slide; the file's own name where it cannot be opened."""
    try:
        with OpenSlide(path) as slide:
            return slide.properties.get("dicom.SeriesInstanceUID", path.name)
    except (OpenSlideError, OSError):
        return path.name


def _open(path: Path) -> OpenSlide:
    try:
        return OpenSlide(path)
    except (OpenSlideError, OSError) as error:
        raise InputError(
            f"{path}: OpenSlide cannot open it ({first_line(error)}); the file is damaged or not whole: copy it again"
        ) from error


def _sizes(properties: Mapping[str, str]) -> list[PixelSize]:
    """µm per pixel as the scanner says, and by TIFF's tags."""
    y, x = (number(properties.get(f"openslide.mpp-{axis}")) for axis in "yx")
    unit = {"inch": UM_PER_INCH, "centimeter": UM_PER_CM}.get(properties.get("tiff.ResolutionUnit", ""))
    dots = [number(properties.get(f"tiff.{axis}Resolution")) for axis in "YX"]
    tag_y, tag_x = (unit / one if unit and one else None for one in dots)
    by_scanner = pixel_size("the scanner", y, x, largest=LARGEST_OF_SCANNER)
    return [*by_scanner, *pixel_size("the TIFF tags", tag_y, tag_x, unasked=True)]


def _bounds(properties: Mapping[str, str], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of the scan on its canvas, in base pixels; None where it is all of it, or not said."""
    found = [number(properties.get(f"openslide.bounds-{name}")) for name in ("y", "x", "height", "width")]
    known = [int(one) for one in found if one is not None]
    if len(known) < 4:
        return None
    top, left, height, width = known
    inside = 0 <= top < top + height <= size[0] and 0 <= left < left + width <= size[1]
    return (top, left, height, width) if inside and (height, width) != size else None
