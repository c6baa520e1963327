"""Which µm per pixel a slide has, who says so, and whether that is contradicted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from monai_seunet.reading.pixel_size import PLAUSIBLE_MPP
from monai_seunet.reading.slide import Slide
from monai_seunet.utils.errors import InputError

# What scanners take at an objective: 0.25 µm at 40x, 0.5 at 20x.
MPP_TIMES_POWER = 10.0
LEAST_POWER = 1.25
# Scanners of 40x have 0.22 to 0.275 µm a pixel; two statements that differ by more are of two different images.
CONTRADICTION = 1.3


@dataclass(frozen=True)
class Resolution:
    """The size of a slide's base pixels.

    Attributes:
        pixel_size: µm (y, x) of a base pixel; None where nobody knows.
        origin: who says so: `given`, `file`, `objective power`, `estimated` or `unknown`.
        warning: how it is contradicted, for people; empty where it is not.
        other: µm of a base pixel by the statement that contradicts it; None where there is none.
    """

    pixel_size: tuple[float, float] | None
    origin: str
    warning: str = ""
    other: float | None = None

    @property
    def mpp(self) -> float | None:
        """µm per pixel; where pixels are not square, that of a square of the same area."""
        return math.sqrt(math.prod(self.pixel_size)) if self.pixel_size else None

    def scale_to(self, mpp: float | None) -> tuple[float, float]:
        """Working pixels per base pixel (y, x) at `mpp` µm; 1 where `mpp` is None or the slide's size is unknown."""
        if mpp is None or self.pixel_size is None:
            return 1.0, 1.0
        return self.pixel_size[0] / mpp, self.pixel_size[1] / mpp

    def describe(self) -> str:
        """In one line, for logs and pages."""
        if self.pixel_size is None:
            return "µm per pixel unknown: the slide is taken as it is"
        y, x = self.pixel_size
        down = "" if math.isclose(x, y, rel_tol=1e-3) else f" across, {y:.4g} down"
        return f"{x:.4g} µm per pixel{down} ({self.origin})"


def nearest_objective(mpp: float) -> float:
    """Magnification of the objective, out of 1.25x, 2.5x ... 80x, whose pixels come nearest to so many µm."""
    octave = round(math.log2(MPP_TIMES_POWER / mpp / LEAST_POWER))
    return LEAST_POWER * 2 ** min(max(octave, 0), 6)


def resolve(slide: Slide, given_mpp: float | None = None, given_power: float | None = None) -> Resolution:
    """The µm per base pixel to work with: what the user gives, else what the file says, else what its objective means.

    Invariant: a file's statement is used as it is; another statement that differs by more than a factor of 1.3 only
    makes a warning.

    Args:
        slide: says what the file knows.
        given_mpp: µm per base pixel, above what the file says.
        given_power: magnification of the objective (40 for 40x), above what the file says.

    Raises:
        InputError: where both are given, or a number that no microscope has.
    """
    from_power = MPP_TIMES_POWER / slide.objective_power if slide.objective_power else None
    in_file = math.sqrt(math.prod(slide.mpp)) if slide.mpp else None
    given = _given(given_mpp, given_power)
    if given is not None:
        said = {"the file says": in_file, f"the objective of {slide.objective_power or 0:g}x means": from_power}
        return _with_warning(Resolution((given, given), "given"), slide, "is given", said)
    if in_file is not None:
        said = {f"the objective of {slide.objective_power or 0:g}x means": from_power}
        return _with_warning(Resolution(slide.mpp, "file"), slide, "is in the file", said)
    if from_power is not None:
        return Resolution((from_power, from_power), "objective power")
    return Resolution(None, "unknown")


def _given(mpp: float | None, power: float | None) -> float | None:
    least, most = PLAUSIBLE_MPP
    if mpp is not None and power is not None:
        raise InputError(f"mpp {mpp:g} and objective power {power:g} are both given; give one of them")
    if mpp is not None and not least <= mpp <= most:
        raise InputError(f"mpp is {mpp:g}; µm per pixel are between {least:g} and {most:g}, as 0.25")
    if power is not None and not least <= MPP_TIMES_POWER / max(power, 1e-9) <= most:
        raise InputError(
            f"objective power is {power:g}; it is between {MPP_TIMES_POWER / most:g} and {MPP_TIMES_POWER / least:g}, "
            "as 40 for 40x"
        )
    return mpp if power is None else MPP_TIMES_POWER / power


def _with_warning(resolution: Resolution, slide: Slide, where: str, said: dict[str, float | None]) -> Resolution:
    """The same with the first statement that differs from the one in use, where one does."""
    used = resolution.mpp
    assert used is not None
    for who, other in said.items():
        if other is not None and max(used / other, other / used) > CONTRADICTION:
            text = f"{slide.path.name}: {used:.4g} µm per pixel {where} and used, but {who} {other:.4g}"
            return replace(resolution, warning=text, other=other)
    return resolution
