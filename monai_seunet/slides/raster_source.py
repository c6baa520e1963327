"""Images without a pyramid, held in memory: PNG, JPEG, BMP, NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from monai_seunet.data.prepare import as_rgb
from monai_seunet.data.reader import read_raster
from monai_seunet.data.sample_range import range_of_grey
from monai_seunet.slides.source import Level, Slide

_PILLOW = (".png", ".jpg", ".jpeg", ".bmp")


class RasterSlide(Slide):
    """An image of one level.

    Limits: needs the memory of the whole image; larger ones belong into a tiled TIFF.

    Raises:
        InputError: for a file that is damaged, or whose pixels are no colours.
    """

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an alpha channel: said in the notes
            raster = read_raster(path)
        shown = _indexed_or_clear(path) if path.suffix.lower() in _PILLOW else None
        pixels = raster.pixels
        deep = range_of_grey([pixels]) if pixels.dtype == np.uint16 and pixels.ndim == 2 and shown is None else None
        self._pixels = as_rgb(pixels if deep is None else deep.in_8_bits(pixels), path) if shown is None else shown
        notes = ["palette or alpha brought to RGB on white"] if shown is not None else []
        notes += ["grey image"] if raster.pixels.ndim == 2 and shown is None else []
        notes += [f"16 bits brought to 8, {deep.low} to {deep.high} as 0 to 255"] if deep is not None else []
        height, width = self._pixels.shape[:2]
        super().__init__(
            path,
            [Level(height, width, 1.0)],
            mpp=None if raster.mpp is None else (raster.mpp, raster.mpp),
            objective_power=None,
            vendor=path.suffix.lower().lstrip("."),
            notes=notes,
        )

    def _read_inside(self, level: int, y: int, x: int, height: int, width: int) -> np.ndarray:
        return self._pixels[y : y + height, x : x + width]

    def for_thread(self) -> RasterSlide:
        """The same: pixels in memory serve all threads."""
        return self

    def close(self) -> None:
        """Nothing is open: the pixels are in memory."""


def _indexed_or_clear(path: Path) -> np.ndarray | None:
    """The colours on white of an image with a palette or an alpha channel, of which `read_raster` keeps less."""
    with Image.open(path) as image:
        if image.mode not in ("P", "PA", "LA", "RGBA") and "transparency" not in image.info:
            return None
        clear = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB"))
