"""µm per pixel: units of length in files, and the choice among contradictory statements."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

UM_PER_INCH = 25_400.0
UM_PER_CM = 10_000.0
UM_PER_MM = 1_000.0
UM_PER_METER = 1_000_000.0
# Resolution tags for screens and printers (72 to 1200 dots per inch) give more than 20 µm per pixel and say nothing
# about the tissue. No microscope has pixels below 0.02 µm.
PLAUSIBLE_MPP = (0.02, 20.0)
LARGEST_OF_SCANNER = 500.0  # a scanner states the true pixel size of its overview images, too
AGREEMENT = 1.05  # two statements of one file contradict each other if they differ by a larger factor

_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0,
    "d": -1, "c": -2, "m": -3, "µ": -6, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_OTHER_UNITS = {
    "å": 1e-4, "ångström": 1e-4, "angstrom": 1e-4,
    "micron": 1.0, "in": UM_PER_INCH, "inch": UM_PER_INCH, "inches": UM_PER_INCH, '"': UM_PER_INCH,
    "thou": UM_PER_INCH / 1000, "mil": UM_PER_INCH / 1000, "li": UM_PER_INCH / 12, "ft": 12 * UM_PER_INCH,
    "yd": 36 * UM_PER_INCH, "mi": 63_360 * UM_PER_INCH, "pt": UM_PER_INCH / 72,
    "ua": 149_597_870_700e6, "ly": 9_460_730_472_580_800e6, "pc": 3.085677581491367e22,
}  # fmt: skip
_WORDS = {
    "kilometer": "km", "decimeter": "dm", "centimeter": "cm", "millimeter": "mm", "micrometer": "µm",
    "nanometer": "nm", "picometer": "pm", "meter": "m",
}  # fmt: skip


class PixelSize(NamedTuple):
    """µm per pixel that one source in a file states.

    Attributes:
        source: name of the source for messages: `OME`, `Aperio`, `ImageJ`, `the TIFF tags`.
        y: height of a pixel in µm.
        x: width of a pixel in µm.
        unasked: whether programs write this number by default, for screens and printers; an implausible size is then
            ignored without a note.
        largest: largest plausible µm per pixel of this source.
    """

    source: str
    y: float
    x: float
    unasked: bool = False
    largest: float = PLAUSIBLE_MPP[1]

    @property
    def plausible(self) -> bool:
        """Whether a microscope can produce pixels of this size."""
        return all(PLAUSIBLE_MPP[0] <= side <= self.largest for side in (self.y, self.x))


def um_per_unit(unit: str | None) -> float | None:
    r"""Return a unit of length in µm, in the spellings of OME, ImageJ, NRRD and NIfTI; None for a unit such as pixels.

    The micro sign, the Greek letter, their escapes (`\u00B5m`) and their broken encodings (`Âµm`) are equivalent.

    >>> um_per_unit("mm")
    1000.0
    """
    if unit is None:
        return None
    text = re.sub(r"\\u00[bB]5|\\u03[bB][cC]|Âµ|Î¼|μ|�", "µ", unit.strip().strip("'"))
    if text.lower() in _OTHER_UNITS or text.lower().removesuffix("s") in _OTHER_UNITS:
        return _OTHER_UNITS.get(text.lower(), _OTHER_UNITS.get(text.lower().removesuffix("s")))
    word = text.lower().removesuffix("s").replace("metre", "meter").replace("µmeter", "micrometer")
    text = _WORDS.get(word, text)
    if not text.endswith("m") and text.endswith("M"):  # no unit of length ends with a capital M: it is `MM` or `UM`
        text = text.lower()
    prefix = text[:-1]
    return 10.0 ** (_PREFIXES[prefix] + 6) if text.endswith("m") and prefix in _PREFIXES else None


def number(value: object) -> float | None:
    """Parse a finite number with a decimal point or comma; None if the value is no such number."""
    try:
        result = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def pixel_size(
    source: str, y: float | None, x: float | None, unasked: bool = False, largest: float = PLAUSIBLE_MPP[1]
) -> list[PixelSize]:
    """Return a list of one statement, empty if both sides are None; a missing side is equal to the other one."""
    sides = [side for side in (y, x) if side is not None]
    return [PixelSize(source, sides[0], sides[-1], unasked, largest)] if sides else []


def agree_on_size(sizes: Sequence[PixelSize]) -> tuple[tuple[float, float] | None, list[str]]:
    """Choose the first plausible statement.

    Args:
        sizes: statements of the sources of one image, the most reliable source first.

    Returns:
        µm per pixel (y, x), or None without a plausible statement; and notes on implausible or contradictory ones.
    """
    used = next((size for size in sizes if size.plausible), None)
    implausible = [size for size in sizes if not size.plausible and not size.unasked]
    notes = [f"{size.source}: {size.x:g} µm per pixel is not plausible; ignored" for size in implausible]
    if used is None:
        return None, notes
    for other in sizes:
        if other.plausible and _factor(used, other) > AGREEMENT:
            notes.append(f"{used.source}: {used.x:.4g} µm per pixel, used; {other.source}: {other.x:.4g}, ignored")
    if _factor(used, used._replace(y=used.x, x=used.x)) > AGREEMENT:
        notes.append(f"pixels are not square: {used.x:.4g} µm wide, {used.y:.4g} µm high")
    return (used.y, used.x), notes


def _factor(first: PixelSize, second: PixelSize) -> float:
    return max(first.y / second.y, second.y / first.y, first.x / second.x, second.x / first.x)
