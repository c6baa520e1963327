"""Switches, as Python, JSON and the command line give them."""

import pytest

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.parsing import parse_bool


@pytest.mark.parametrize(("value", "meaning"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_switches_are_read(value, meaning):
    assert parse_bool(value) is meaning


@pytest.mark.parametrize("value", ["maybe", "", 1, None])
def test_anything_else_is_refused(value):
    with pytest.raises(InputError, match="give true or false"):
        parse_bool(value)
