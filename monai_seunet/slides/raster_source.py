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
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            raster = read_raster(path)
        shown = _indexed_or_clear(path) if path.suffix.lower() in _PILLOW else None
        notes = ["palette or alpha brought to RGB on white"]
        if shown is None:
            shown = raster.pixels
            notes = [str(warning.message).removeprefix(f"{path}: ") for warning in said]
            notes += ["grey image"] if shown.ndim == 2 else []
            if shown.dtype == np.uint16 and shown.ndim == 2:
                deep = range_of_grey([shown])
                shown = deep.in_8_bits(shown)
                notes.append(f"16 bits brought to 8, {deep.low} to {deep.high} as 0 to 255")
        self._pixels = as_rgb(shown, path)
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
