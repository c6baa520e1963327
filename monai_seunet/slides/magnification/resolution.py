"""µm per pixel of a slide, with their origin and contradictions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.options import MPP_TIMES_POWER, mpp_of_user

OBJECTIVES = {1.25: 0.025, 2.5: 0.025, 5.0: 0.025, 10.0: 0.3, 20.0: 0.3, 40.0: 0.3, 80.0: 0.025}  # and their shares
CONTRADICTION = 1.3  # least factor between contradictory values; scanners of 40x have 0.22 to 0.275 µm per pixel


@dataclass(frozen=True)
class Resolution:
    """The size of a slide's base pixels.

    Attributes:
        pixel_size: height and width of a base pixel in µm; None if not known.
        origin: origin of the value: `given`, `file`, `objective power`, `estimated` or `unknown`.
        warning: sentence about a contradiction; empty for none.
        other: contradictory value in µm per pixel; None for none.

    >>> Resolution((0.5, 0.5), "file").scale_to(0.25)
    (2.0, 2.0)
    """

    pixel_size: tuple[float, float] | None
    origin: str
    warning: str = ""
    other: float | None = None

    @property
    def given_against_file(self) -> bool:
        """Whether the value of the user contradicts the file; `warning` says it."""
        return self.origin == "given" and bool(self.warning)

    @property
    def note(self) -> str:
        """Remark for the notes of a result: `warning`, unless it is a warning of the result; empty for none."""
        return "" if self.given_against_file else self.warning

    @property
    def mpp(self) -> float | None:
        """µm per pixel; for pixels that are not square, the side of a square of the same area."""
        return math.sqrt(math.prod(self.pixel_size)) if self.pixel_size else None

    def scale_to(self, mpp: float | None) -> tuple[float, float]:
        """Return working pixels per base pixel (y, x) at `mpp`; 1 if `mpp` or the pixel size is None."""
        if mpp is None or self.pixel_size is None:
            return 1.0, 1.0
        return self.pixel_size[0] / mpp, self.pixel_size[1] / mpp

    def describe(self) -> str:
        """Return one line for logs and pages."""
        if self.pixel_size is None:
            return "µm per pixel unknown: the image is taken as it is"
        y, x = self.pixel_size
        down = "" if math.isclose(x, y, rel_tol=1e-3) else f" across, {y:.4g} down"
        return f"{x:.4g} µm per pixel{down} ({self.origin})"


def likely_objective(mpp: float, error: float) -> tuple[float, float]:
    """Return the most likely objective of an estimate of the µm per pixel, and its probability.

    Nine of ten slides are taken to be at 10x, 20x or 40x; the others are at 1.25x, 2.5x, 5x or 80x.

    Args:
        mpp: estimated µm per pixel.
        error: standard error in octaves.

    >>> likely_objective(0.23, error=0.2)[0], likely_objective(0.17, error=0.4)[0]
    (40.0, 40.0)
    """
    distances = np.log2([mpp * power / MPP_TIMES_POWER for power in OBJECTIVES]) / error
    logs = np.log(list(OBJECTIVES.values())) - 0.5 * distances**2
    shares = np.exp(logs - logs.max())
    best = int(shares.argmax())
    return list(OBJECTIVES)[best], float(shares[best] / shares.sum())


def resolve(slide: Slide, given_mpp: float | None = None, given_power: float | None = None) -> Resolution:
    """Return the µm per base pixel: the value of the user, else of the file, else of the objective.

    Invariant: the value is used without changes; another value that differs by a factor above 1.3 makes a warning.

    Args:
        slide: open slide.
        given_mpp: µm per base pixel by the user.
        given_power: magnification of the objective (40 for 40x) by the user.

    Raises:
        InputError: both are given, or a value is out of the range of microscopes.
    """
    from_power = MPP_TIMES_POWER / slide.objective_power if slide.objective_power else None
    in_file = math.sqrt(math.prod(slide.mpp)) if slide.mpp else None
    given = mpp_of_user(given_mpp, given_power)
    others = {f"the objective of {slide.objective_power or 0:g}x means": from_power}
    if given is not None:
        others = {"the file says": in_file, **others}
        return _with_warning(Resolution((given, given), "given"), "is given", others)
    if in_file is not None:
        return _with_warning(Resolution(slide.mpp, "file"), "is in the file", others)
    if from_power is not None:
        return Resolution((from_power, from_power), "objective power")
    return Resolution(None, "unknown")


def _with_warning(resolution: Resolution, where: str, others: dict[str, float | None]) -> Resolution:
    """Add a warning about the first other value that contradicts the one in use."""
    used = resolution.mpp
    assert used is not None
    for who, other in others.items():
        if other is not None and max(used / other, other / used) > CONTRADICTION:
            text = f"{used:.4g} µm per pixel {where} and used, but {who} {other:.4g}"
            return replace(resolution, warning=text, other=other)
    return resolution
