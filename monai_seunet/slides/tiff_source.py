"""Plain, pyramidal and OME-TIFF, of which only the tiles or strips that a region needs are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from monai_seunet.data.sample_range import SampleRange
from monai_seunet.data.tiff_mpp import tiff_mpp, tiff_objective_power
from monai_seunet.errors import InputError
from monai_seunet.slides.source import Slide, first_line, pyramid_level
from monai_seunet.slides.tiff_level import TiffLevel


class TiffSlide(Slide):
    """The largest image of a TIFF file with all its levels, in sub-IFDs or in pages of their own.

    Limits: one plane; grey or RGB of 1 to 16 bits. Of more than 8 bits, grey is shown from the darkest to the brightest
    value that is found in a part of a large image, and colour by the bits that its values need.

    Args:
        path: the file.
        shown: the stored values that become 0 and 255, where they are known; else they are looked up.

    Raises:
        InputError: for a file that is damaged or not whole, or holds no such image.
    """

    def __init__(self, path: Path, shown: SampleRange | None = None) -> None:
        try:
            self._tiff = tifffile.TiffFile(path)
        except Exception as error:
            raise InputError(f"{path}: no TIFF file that can be read ({first_line(error)}); copy it again") from error
        try:
            number, images = _find_pyramid(self._tiff, path)
            self._images = [TiffLevel(pages, path) for pages in images]
            self._shown = shown or self._images[0].sample_range()
            mpp, power = tiff_mpp(self._tiff, number), tiff_objective_power(self._tiff)
        except InputError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise InputError(f"{path}: a damaged TIFF file ({first_line(error)}); copy or export it again") from error
        for image in self._images:  # the same value is as bright on all levels
            image.colours = image.colours._replace(shown=self._shown)
        base = (self._images[0].height, self._images[0].width)
        super().__init__(
            path,
            [pyramid_level(base, (image.height, image.width)) for image in self._images],
            mpp=mpp,
            objective_power=power,
            vendor="ome-tiff" if self._tiff.is_ome else "tiff",
            notes=self._images[0].colours.notes,
        )

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        return self._images[level].read(y, x, height, width)

    def for_thread(self) -> TiffSlide:
        """The same slide for another thread, which closes it."""
        return TiffSlide(self.path, self._shown)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self._shown)

    def close(self) -> None:
        """Give the file back."""
        self._tiff.close()


def _find_pyramid(tiff: tifffile.TiffFile, path: Path) -> tuple[int, list[list[Any]]]:
    """Number of the largest image, and the pages of its levels, the finest first."""
    if not tiff.series:
        raise InputError(f"{path}: the TIFF file holds no image, or was cut off; copy it again")
    number, series = max(enumerate(tiff.series), key=lambda item: _area(item[1]))
    levels = list(series.levels)
    if series.kind in ("generic", "uniform", "shaped"):  # else the file itself says what its pyramids are
        levels += [level for other in tiff.series if other is not series for level in other.levels]
    levels.sort(key=_area, reverse=True)
    images: list[list[Any]] = []
    for level in levels:
        if not images:
            images.append(_planes(level, path))
        elif _continues(images[0][0].keyframe, images[-1][0].keyframe, level.keyframe):
            images.append(_planes(level, path))
    return number, images


def _area(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _continues(base: Any, last: Any, page: Any) -> bool:
    """Whether a page is the next level: the same kind of pixels, smaller, and of the same shape to a pixel."""
    level = pyramid_level((base.imagelength, base.imagewidth), (page.imagelength, page.imagewidth))
    same_shape = all(
        abs(before / level.downsample - after) <= 1
        for before, after in ((base.imagelength, page.imagelength), (base.imagewidth, page.imagewidth))
    )
    same_pixels = (base.dtype, base.samplesperpixel) == (page.dtype, page.samplesperpixel)
    return same_shape and same_pixels and page.imagelength < last.imagelength and page.imagewidth < last.imagewidth


def _planes(series: Any, path: Path) -> list[Any]:
    """The page of an image, or its pages where each holds a channel."""
    axes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if size > 1 and axis not in "YX"]
    pages = [page for page in series.pages if page is not None]
    in_pages = [(axis, size) for axis, size in axes if axis != "S"]
    if in_pages not in ([], [("C", 3)]) or len(pages) != (3 if in_pages else 1):
        raise InputError(
            f"{path}: one plane is expected, got axes {series.axes} of {list(series.shape)}; export one plane"
        )
    return pages
