from __future__ import annotations

import numpy as np
import pytest

from monai_seunet.evaluation import scale_grid
from monai_seunet.utils.errors import InputError


def test_default_is_the_grid_of_the_paper():
    scales = scale_grid()
    assert len(scales) == 17 and 1.0 in scales
    np.testing.assert_allclose(scales, [2 ** (-2 + i / 4) for i in range(17)], rtol=1e-14)


@pytest.mark.parametrize(("minimum", "maximum", "steps", "count"), [(0.5, 2, 1, 3), (0.3, 3, 2, 7), (1, 1, 7, 1)])
def test_grid_stays_in_the_range_and_holds_one(minimum, maximum, steps, count):
    scales = scale_grid(minimum, maximum, steps)
    assert len(scales) == count and 1.0 in scales
    assert minimum <= scales[0] and scales[-1] <= maximum
    np.testing.assert_allclose(np.diff(np.log2(scales)), 1 / steps)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 0.25), "from 4 to 0.25; give minimum_scale"),
        ((0, 4), "from 0 to 4; give minimum_scale"),
        ((float("nan"), 4), "from nan to 4"),
        ((0.3, 0.32), r"no scale 2\^\(i/4\) lies from 0.3 to 0.32; the nearest are 0.2973 and 0.3536"),
        ((0.5, 2, 0), "steps_per_octave is 0"),
        ((0.5, 2, 1.5), "steps_per_octave is 1.5"),
    ],
)
def test_a_bad_range_says_what_to_give(arguments, message):
    with pytest.raises(InputError, match=message):
        scale_grid(*arguments)
