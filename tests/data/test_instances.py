import numpy as np
import pytest

from monai_seunet.data import instances
from monai_seunet.data.instances import stack_instances
from monai_seunet.utils.errors import InputError


def area(*slices):
    mask = np.zeros((10, 12), bool)
    mask[slices] = True
    return np.nonzero(mask)


LARGE, SMALL = area(slice(1, 8), slice(1, 8)), area(slice(6, 9), slice(6, 9))


@pytest.mark.parametrize(("order", "small"), [((LARGE, SMALL), 2), ((SMALL, LARGE), 1)])
def test_pixels_of_two_objects_go_to_the_smaller(order, small):
    label, empty, hidden = stack_instances(order, (10, 12))
    assert (label[SMALL] == small).all() and (empty, hidden) == ([], [])
    union = np.zeros((10, 12), bool)
    union[LARGE] = union[SMALL] = True
    assert np.array_equal(label > 0, union) and label.dtype == np.uint16


def test_objects_without_a_pixel_of_their_own_are_listed():
    nothing = area(slice(0), slice(0))
    label, empty, hidden = stack_instances([SMALL, nothing, SMALL], (10, 12))
    assert (empty, hidden) == ([1], [0]) and (label[SMALL] == 3).all()


def test_more_than_16_bits_can_number_are_refused(monkeypatch):
    monkeypatch.setattr(instances, "MAX_INSTANCES", 2)
    with pytest.raises(InputError, match=r"x.xml: 3 objects are more"):
        stack_instances([SMALL] * 3, (10, 12), "x.xml")
