import math

import pytest
from slide_files import ArraySlide, noise

from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.resolution import Resolution, resolve
from monai_seunet.utils.errors import InputError


def slide(mpp=None, power=None):
    return ArraySlide([noise(40, 60)], mpp=mpp, objective_power=power)


@pytest.mark.parametrize(
    ("mpp", "power", "given", "expected", "origin", "warning"),
    [
        ((0.25, 0.25), 40, {}, 0.25, "file", ""),
        ((0.23, 0.23), 40, {}, 0.23, "file", ""),
        ((0.25, 0.25), None, {}, 0.25, "file", ""),
        ((0.25, 0.25), 20, {}, 0.25, "file", "0.25 µm per pixel is in the file and used, but the objective of 20x"),
        (None, 40, {}, 0.25, "objective power", ""),
        (None, 20, {}, 0.5, "objective power", ""),
        ((1e9, 1e9), 20, {}, 0.5, "objective power", ""),
        (None, None, {}, None, "unknown", ""),
        ((0.5, 0.5), 20, {"given_mpp": 0.25}, 0.25, "given", "is given and used, but the file says 0.5"),
        (None, 20, {"given_mpp": 0.25}, 0.25, "given", "but the objective of 20x means 0.5"),
        ((0.26, 0.26), None, {"given_power": 40}, 0.25, "given", ""),
        (None, None, {"given_power": 20}, 0.5, "given", ""),
    ],
)
def test_who_is_believed(mpp, power, given, expected, origin, warning):
    resolution = resolve(slide(mpp, power), **given)
    assert (resolution.mpp, resolution.origin) == (pytest.approx(expected) if expected else None, origin)
    assert warning in resolution.warning and bool(warning) == bool(resolution.warning)
    assert "\n" not in resolution.warning + resolution.describe()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"given_mpp": 0.25, "given_power": 40}, "both"),
        *(({"given_mpp": mpp}, f"mpp is {mpp:g}") for mpp in (0.0, math.nan, 250.0)),
        *(({"given_power": power}, f"objective power is {power:g}") for power in (0, -40, math.nan)),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        resolve(slide(), **given)


def test_pixels_that_are_not_square():
    resolution = resolve(slide((0.4, 0.1)))
    assert resolution.mpp == pytest.approx(0.2)  # of the same area
    assert resolution.scale_to(0.2) == pytest.approx((2.0, 0.5))
    assert "across" in resolution.describe()
    view = SlideView(slide((0.4, 0.1)), resolution.scale_to(0.2))
    assert (view.height, view.width) == (80, 30)


def test_an_unknown_size_is_taken_as_it_is():
    assert resolve(slide()).scale_to(0.25) == (1.0, 1.0)
    assert Resolution((0.5, 0.5), "estimated").scale_to(None) == (1.0, 1.0)
    assert math.isclose(Resolution((0.5, 0.5), "estimated").scale_to(0.25)[0], 2)
