"""Switches, as Python, JSON and the command line give them."""

from __future__ import annotations

import pytest

from monai_seunet.utils.flags import flag
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize(("value", "meaning"), [(True, True), (False, False), ("true", True), ("False", False)])
def test_switches_are_read(value, meaning):
    assert flag(value) is meaning


@pytest.mark.parametrize("value", ["maybe", "", 1, None])
def test_anything_else_is_refused(value):
    with pytest.raises(InputError, match="give true or false"):
        flag(value)
