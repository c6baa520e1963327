"""The grid of scales at which a network is tested."""

from __future__ import annotations

import math

from monai_seunet.utils.errors import InputError

_TOLERANCE = 1e-9


def scale_grid(minimum: float = 0.25, maximum: float = 4.0, steps_per_octave: int = 4) -> list[float]:
    """All scales 2^(i / steps_per_octave) between two scales; the defaults give the 17 of the SEUNet paper.

    Invariant: the grid contains 1 wherever the range does; neighbours have the ratio 2^(1 / steps_per_octave).

    Args:
        minimum: smallest scale, above 0.
        maximum: largest scale.
        steps_per_octave: scales from one power of two to the next.

    Raises:
        InputError: for a range that holds no such scale, or a step that is not a positive whole number.
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
        around = (2 ** (last / steps_per_octave), 2 ** (first / steps_per_octave))
        raise InputError(
            f"no scale 2^(i/{steps_per_octave}) lies from {minimum} to {maximum}; the nearest are {around[0]:.4g} and "
            f"{around[1]:.4g}: widen the range or raise steps_per_octave"
        )
    return [2 ** (index / steps_per_octave) for index in range(first, last + 1)]
