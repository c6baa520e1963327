"""The factor by which the estimates of a cohort differ from its stated µm per pixel as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from monai_seunet.slides.magnification.resolution import CONTRADICTION

LEAST_SLIDES = 10  # least number of slides with a stated and an estimated value


def common_factor(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Return the median of estimated over stated µm per pixel, which shows how large the nuclei of a cohort are.

    Nuclei of one laboratory or organ differ from those of the calibration, which the estimate takes for magnification.
    The median stays right if less than half of the slides state wrong values.

    Args:
        pairs: stated and estimated µm per pixel of each slide; None if there is no value.

    Returns:
        Factor; None for fewer than 10 slides with both values, or a factor above 1.3 or below 1 / 1.3, which
        nuclei cannot explain.

    >>> common_factor([(0.25, 0.3)] * 9 + [(1.0, 0.3)])
    1.2
    >>> common_factor([(0.25, 0.5)] * 10) is None  # half of the true value is stated everywhere
    True
    """
    logs = [math.log2(estimated / stated) for stated, estimated in pairs if stated and estimated]
    if len(logs) < LEAST_SLIDES:
        return None
    factor = 2 ** median(logs)
    return round(factor, 3) if max(factor, 1 / factor) <= CONTRADICTION else None
