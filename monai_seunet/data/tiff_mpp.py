"""µm per pixel and magnification of a TIFF file: from OME, from Aperio's description, or from the resolution tags."""

from __future__ import annotations

import re
from typing import Any

UM_PER_INCH = 25_400.0
UM_PER_MM = 1_000.0
_UM_PER_UNIT = {"m": 1e6, "cm": 1e4, "mm": UM_PER_MM, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "in": UM_PER_INCH}


def tiff_mpp(tiff: Any, image: int = 0) -> tuple[float, float] | None:
    """µm per pixel (y, x) as the file says, plausible or not; None where it says nothing.

    Args:
        tiff: an open `tifffile.TiffFile`.
        image: which image of an OME file.
    """
    page = tiff.pages[0]
    if tiff.is_ome:
        pixels = re.findall(r"<(?:\w+:)?Pixels\b[^<>]*>", tiff.ome_metadata)
        return _ome_mpp(dict(re.findall(r"(\w+)=\"([^\"]*)\"", pixels[image]))) if image < len(pixels) else None
    aperio = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", page.description or "")
    if aperio:
        return _pair(aperio.group(1), aperio.group(1))
    units = {2: UM_PER_INCH, 3: 10 * UM_PER_MM}
    unit_um = units.get(int(getattr(page.tags.get("ResolutionUnit"), "value", 0)))
    if unit_um is None:
        return None
    dots = [getattr(page.tags.get(name), "value", (0, 1)) for name in ("YResolution", "XResolution")]
    sizes = [unit_um * denominator / numerator if numerator else None for numerator, denominator in dots]
    return _pair(*sizes)


def tiff_objective_power(tiff: Any) -> float | None:
    """Magnification of the objective, from OME or from Aperio's description."""
    text = tiff.ome_metadata if tiff.is_ome else tiff.pages[0].description
    found = re.search(r"NominalMagnification=\"([0-9.]+)\"|\|\s*AppMag\s*=\s*([0-9.]+)", text or "")
    return _number(found.group(1) or found.group(2)) if found else None


def _ome_mpp(pixels: dict[str, str]) -> tuple[float, float] | None:
    sizes = []
    for axis in ("Y", "X"):
        size = _number(pixels.get(f"PhysicalSize{axis}"))
        factor = _UM_PER_UNIT.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        sizes.append(size * factor if size is not None and factor is not None else None)
    return _pair(*sizes)


def _pair(y: float | str | None, x: float | str | None) -> tuple[float, float] | None:
    """Both sizes; pixels are taken as square where only one is there."""
    sizes = [size for size in (_number(y), _number(x)) if size is not None]
    return (sizes[0], sizes[-1]) if sizes else None


def _number(value: float | str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None
