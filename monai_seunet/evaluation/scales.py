"""Grid of test scales."""

from __future__ import annotations

import math

from monai_seunet.utils.errors import InputError

_TOLERANCE = 1e-9


def scale_grid(minimum: float = 0.25, maximum: float = 4.0, steps_per_octave: int = 4) -> list[float]:
    """Return all scales 2^(i / steps_per_octave) of a range; the defaults give the 17 scales of the SEUNet paper.

    Invariant: the grid contains 1 if the range does; neighbours have the ratio 2^(1 / steps_per_octave).

    Args:
        minimum: smallest scale, above 0.
        maximum: largest scale.
        steps_per_octave: number of steps from one power of two to the next.

    Raises:
        InputError: for a range without such a scale, or a number of steps that is not a positive whole number.

    >>> scale_grid(0.5, 2, 1)
    [0.5, 1.0, 2.0]
    """
    if int(steps_per_octave) != steps_per_octave or steps_per_octave < 1:
        raise InputError(f"steps_per_octave is {steps_per_octave}; give a whole number of at least 1, such as 4")
    if not 0 < minimum <= maximum < math.inf:
        raise InputError(
            f"the scale range is from {minimum} to {maximum}; give minimum_scale above 0 and maximum_scale at least as "
            "large, such as 0.25 and 4"
        )
    first = math.ceil(steps_per_octave * math.log2(minimum) - _TOLERANCE)
    last = math.floor(steps_per_octave * math.log2(maximum) + _TOLERANCE)
    if first > last:
        nearest = (2 ** (last / steps_per_octave), 2 ** (first / steps_per_octave))
        raise InputError(
            f"no scale 2^(i/{steps_per_octave}) lies from {minimum} to {maximum}; the nearest are {nearest[0]:.4g} and "
            f"{nearest[1]:.4g}: widen the range or raise steps_per_octave"
        )
    return [2 ** (index / steps_per_octave) for index in range(first, last + 1)]
