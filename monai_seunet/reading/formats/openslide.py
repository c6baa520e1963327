"""Slides of scanners, which OpenSlide reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from openslide import OpenSlide, OpenSlideError

from monai_seunet.reading.colours import WHITE, on_white
from monai_seunet.reading.pixel_size import LARGEST_OF_SCANNER, UM_PER_CM, UM_PER_INCH, PixelSize, number, pixel_size
from monai_seunet.reading.slide import Level, Slide, first_line, pyramid_level
from monai_seunet.utils.errors import InputError

BLOCK = 512  # side in pixels of the fixed blocks of levels whose pixels OpenSlide cannot address exactly


class OpenSlideSlide(Slide):
    """The levels of a scan that OpenSlide reads, without its label and overview images.

    OpenSlide takes the position of a region in base pixels. If the downsampling of a level is not a whole number, that
    position lies between pixels, and OpenSlide interpolates each region differently. Such levels are read in fixed
    blocks, so each pixel has one value.
    Some scanners place the scan on a much larger canvas. The slide is then the bounds that the file states, so
    coordinates agree with QuPath. Coarser levels start at the pixel nearest to the corner of the bounds.

    Raises:
        InputError: OpenSlide cannot open the file.

    References:
        QuPath, `OpenslideImageServer.java`.
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
        """Return OpenSlide's pixels (height, width, 3), blended with white."""
        if self._handle is None:
            self._handle = _open(self.path)
        downsample = self._downsamples[level]
        base_y, base_x = (
            round((round(corner / downsample) + offset) * downsample)
            for corner, offset in zip(self._corner, (y, x), strict=True)
        )
        try:
            rgba = np.asarray(self._handle.read_region((base_x, base_y), level, (width, height)))
        except OpenSlideError:
            self.close()  # OpenSlide repeats the error in every later call, so the next read has to open the file again
            raise
        alpha = rgba[:, :, 3:]
        if alpha.min() == WHITE:
            return rgba[:, :, :3]
        return on_white(rgba[:, :, :3], alpha)

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def dicom_series(path: Path) -> str:
    """Return the series UID of a DICOM slide, or the file name if OpenSlide cannot open the file."""
    try:
        with OpenSlide(path) as slide:
            return slide.properties.get("dicom.SeriesInstanceUID", path.name)
    except (OpenSlideError, OSError):
        return path.name


def _open(path: Path) -> OpenSlide:
    try:
        return OpenSlide(path)
    except (OpenSlideError, OSError) as error:
        reason = f"OpenSlide cannot open it ({first_line(error)})"
        raise InputError(f"{path}: {reason}; the file is damaged or not whole: copy it again") from error


def _sizes(properties: Mapping[str, str]) -> list[PixelSize]:
    """Return the pixel sizes that the scanner and the TIFF tags state."""
    y, x = (number(properties.get(f"openslide.mpp-{axis}")) for axis in "yx")
    unit = {"inch": UM_PER_INCH, "centimeter": UM_PER_CM}.get(properties.get("tiff.ResolutionUnit", ""))
    dots = [number(properties.get(f"tiff.{axis}Resolution")) for axis in "YX"]
    tag_y, tag_x = (unit / per_unit if unit and per_unit else None for per_unit in dots)
    by_scanner = pixel_size("the scanner", y, x, largest=LARGEST_OF_SCANNER)
    return [*by_scanner, *pixel_size("the TIFF tags", tag_y, tag_x, unasked=True)]


def _bounds(properties: Mapping[str, str], size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return (top, left, height, width) of the scan in base pixels; None if it fills the canvas or is not stated."""
    values = [number(properties.get(f"openslide.bounds-{name}")) for name in ("y", "x", "height", "width")]
    bounds = [int(value) for value in values if value is not None]
    if len(bounds) < 4:
        return None
    top, left, height, width = bounds
    inside = 0 <= top < top + height <= size[0] and 0 <= left < left + width <= size[1]
    return (top, left, height, width) if inside and (height, width) != size else None
