"""What tests of layers and of the native kernels share."""

from collections.abc import Callable

import pytest
import torch

from monai_seunet.native import library as native


@pytest.fixture
def doubles(global_state: None) -> None:
    """Tensors and layers are made in float64."""
    torch.set_default_dtype(torch.float64)


@pytest.fixture
def take_variant(monkeypatch) -> Callable[[int], str]:
    """Let the kernels be those of one variant that this machine has and runs: number n of them, in turn."""
    there = [variant for variant in native.runnable() if native.library_path(variant).is_file()]

    def take(number: int) -> str:
        variant = there[number % len(there)]
        monkeypatch.setenv(native.SETTING, variant)
        assert native.library() is not None
        return variant

    return take
