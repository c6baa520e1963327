"""What tests of the native kernels share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monai_seunet.errors import InputError
from monai_seunet.native import library as native


@pytest.fixture
def take_variant(monkeypatch) -> Callable[[int], str]:
    """Let the kernels be those of one variant that this machine has and runs: number n of them, in turn."""

    def take(number: int) -> str:
        variant = there[number % len(there)]
        monkeypatch.setenv(native.SETTING, variant)
        native._chosen.cache_clear()
        assert native.library() is not None
        return variant

    there = [variant for variant in native.VARIANTS if _runs(variant, monkeypatch)]
    yield take
    monkeypatch.undo()
    native._chosen.cache_clear()


def _runs(variant: str, monkeypatch) -> bool:
    monkeypatch.setenv(native.SETTING, variant)
    native._chosen.cache_clear()
    try:
        return native.library() is not None
    except InputError:
        return False
