"""µm per pixel and magnification of an image of a TIFF file, in all dialects."""

from __future__ import annotations

import re
from typing import Any

from monai_seunet.reading.pixel_size import UM_PER_CM, UM_PER_INCH, PixelSize, number, pixel_size, um_per_unit
from monai_seunet.reading.tiff.ome import OmeImage

# ResolutionUnit: TIFF 6.0 defines 2 and 3, other programs added 4 (millimetre) and 5 (micrometre); 1 is no length.
_UM_OF_TAG = {2: UM_PER_INCH, 3: UM_PER_CM, 4: 1_000.0, 5: 1.0}


def tiff_pixel_sizes(tiff: Any, page: Any, ome: OmeImage) -> list[PixelSize]:
    """Return the stated pixel sizes of one image, the most reliable source first: OME, Aperio, ImageJ, the tags.

    Args:
        tiff: an open `tifffile.TiffFile`.
        page: page that describes the image.
        ome: description of the image in OME.
    """
    aperio = re.search(r"\|\s*MPP\s*=\s*([0-9.,]+)", page.description or "")
    mpp = number(aperio.group(1)) if aperio else None
    return [*ome.sizes, *pixel_size("Aperio", mpp, mpp), *_imagej(tiff, page), *_tags(page)]


def tiff_objective_power(page: Any, ome: OmeImage) -> float | None:
    """Return the magnification of the objective from OME or from Aperio's description."""
    aperio = re.search(r"\|\s*AppMag\s*=\s*([0-9.,]+)", page.description or "")
    return ome.objective_power or (number(aperio.group(1)) if aperio else None)


def _imagej(tiff: Any, page: Any) -> list[PixelSize]:
    """Return the pixel size of ImageJ, which stores its unit as text and pixels per unit as resolution."""
    metadata = (tiff.imagej_metadata or {}) if tiff.is_imagej and _is_of_first_series(tiff, page) else {}
    x = um_per_unit(_text(metadata.get("unit")))
    y = um_per_unit(_text(metadata.get("yunit"))) or x
    dots_y, dots_x = _dots(page)
    return pixel_size("ImageJ", y / dots_y if y and dots_y else None, x / dots_x if x and dots_x else None)


def _is_of_first_series(tiff: Any, page: Any) -> bool:
    """Return whether a page belongs to the first series, which the text of ImageJ describes."""
    return any(first is not None and first.index == page.index for first in tiff.series[0].pages)


def _tags(page: Any) -> list[PixelSize]:
    unit = _UM_OF_TAG.get(int(number(_value(page, "ResolutionUnit", 2)) or 0))
    if unit is None:
        return []
    y, x = (unit / dots if dots else None for dots in _dots(page))
    return pixel_size("the TIFF tags", y, x, unasked=True)


def _dots(page: Any) -> list[float | None]:
    """Return the pixels per unit of length (y, x)."""
    per_unit = []
    for name in ("YResolution", "XResolution"):
        value = _value(page, name, (0, 1))
        numerator, denominator = value if isinstance(value, tuple) and len(value) == 2 else (value, 1)
        dots = number(numerator), number(denominator)
        per_unit.append(dots[0] / dots[1] if dots[0] and dots[1] else None)
    return per_unit


def _value(page: Any, name: str, default: Any) -> Any:
    return getattr(page.tags.get(name), "value", default)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
