"""µm per pixel: units of length as files spell them, and which of several statements holds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

UM_PER_INCH = 25_400.0
UM_PER_CM = 10_000.0
UM_PER_MM = 1_000.0
UM_PER_METER = 1_000_000.0
# Resolution tags of photographs and screens (72 ... 1200 dots per inch) mean more than 20 µm per pixel and say nothing
# about the tissue; no microscope has less than 0.02.
PLAUSIBLE_MPP = (0.02, 20.0)
LARGEST_OF_SCANNER = 500.0  # a scanner says what it measured, of its overview pictures, too
AGREEMENT = 1.05  # two statements of one file that differ by a larger factor contradict each other

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
    """µm per pixel as one source in a file says.

    Attributes:
        source: who says so, for people: `OME`, `Aperio`, `ImageJ`, `the TIFF tags`, ...
        y: µm per row.
        x: µm per column.
        unasked: programs write this number without being asked, for screens and printers or as a default: sizes
            that no microscope has are then no statement about the tissue.
        largest: µm per pixel that the source is believed.
    """

    source: str
    y: float
    x: float
    unasked: bool = False
    largest: float = PLAUSIBLE_MPP[1]

    @property
    def plausible(self) -> bool:
        """Whether a microscope can have such pixels."""
        return all(PLAUSIBLE_MPP[0] <= side <= self.largest for side in (self.y, self.x))


def um_per_unit(unit: str | None) -> float | None:
    r"""µm of a unit of length, as OME, ImageJ, NRRD and NIfTI spell them; None for other units, such as pixels.

    The micro sign and the Greek letter, their escapes (`\u00B5m`) and their broken encodings (`Âµm`) are read alike.
    """
    if unit is None:
        return None
    text = re.sub(r"\\u00[bB]5|\\u03[bB][cC]|Âµ|Î¼|μ|�", "µ", unit.strip().strip("'"))
    if text.lower() in _OTHER_UNITS or text.lower().removesuffix("s") in _OTHER_UNITS:
        return _OTHER_UNITS.get(text.lower(), _OTHER_UNITS.get(text.lower().removesuffix("s")))
    word = text.lower().removesuffix("s").replace("metre", "meter").replace("µmeter", "micrometer")
    text = _WORDS.get(word, text)
    if not text.endswith("m") and text.endswith("M"):  # `MM`, `UM`: no unit of length ends with a capital M
        text = text.lower()
    prefix = text[:-1]
    return 10.0 ** (_PREFIXES[prefix] + 6) if text.endswith("m") and prefix in _PREFIXES else None


def number(value: object) -> float | None:
    """A finite number of a text of a file, with a point or a comma; None where there is none."""
    try:
        result = float(str(value).strip().replace(",", "."))
    except ValueError:
        return None
    return result if math.isfinite(result) else None


def pixel_size(
    source: str, y: float | None, x: float | None, unasked: bool = False, largest: float = PLAUSIBLE_MPP[1]
) -> list[PixelSize]:
    """The statement of a source, in a list; none where it says nothing. Pixels are square where one side is missing."""
    sides = [side for side in (y, x) if side is not None]
    return [PixelSize(source, sides[0], sides[-1], unasked, largest)] if sides else []


def agree_on_size(said: Sequence[PixelSize]) -> tuple[tuple[float, float] | None, list[str]]:
    """The first plausible statement, and what people have to know of the others.

    Args:
        said: by the sources of one image, the most reliable first.

    Returns:
        µm per pixel (y, x), None where nothing plausible is said; and notes on statements that cannot be or contradict.
    """
    used = next((one for one in said if one.plausible), None)
    impossible = [one for one in said if not one.plausible and not one.unasked]
    notes = [f"{one.source}: {one.x:g} µm per pixel cannot be; not used" for one in impossible]
    if used is None:
        return None, notes
    for other in said:
        if other.plausible and _factor(used, other) > AGREEMENT:
            notes.append(f"{used.source}: {used.x:.4g} µm per pixel, used; {other.source}: {other.x:.4g}")
    if _factor(used, used._replace(y=used.x, x=used.x)) > AGREEMENT:
        notes.append(f"pixels are not square: {used.x:.4g} µm across, {used.y:.4g} down")
    return (used.y, used.x), notes


def _factor(one: PixelSize, other: PixelSize) -> float:
    return max(one.y / other.y, other.y / one.y, one.x / other.x, other.x / one.x)
