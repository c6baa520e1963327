"""Checks of symmetry for tests of your own: a bound that a network must keep, on its trained weights too."""

from __future__ import annotations

from collections.abc import Callable

import torch

from monai_seunet.networks.layers.rotation.point_group import point_group

Function = Callable[[torch.Tensor], torch.Tensor]


def symmetry_errors(function: Function, x: torch.Tensor, group: str = "p4m") -> dict[int, float]:
    """How far a function of images is from commuting with each quarter turn and mirror.

    Args:
        function: images (B, C, H, W) -> maps (..., H, W), which should turn with the image, or numbers (B, N), which
            should not change.
        x: images, (B, C, H, W).
        group: `p4` or `p4m`.

    Returns:
        For every element g of the group but the identity, the largest |f(g x) - g f(x)| over the largest |f(x)|.
    """
    symmetries = point_group(group)
    with torch.no_grad():
        y = function(x)
        largest = y.abs().max().clamp(min=torch.finfo(y.dtype).tiny)
        errors = {}
        for g in range(1, symmetries.order):
            expected = y if y.dim() == 2 else symmetries.act(g, y)
            errors[g] = float((function(symmetries.act(g, x)) - expected).abs().max() / largest)
    return errors


def assert_equivariant(function: Function, x: torch.Tensor, group: str = "p4m", tolerance: float = 1e-10) -> None:
    """Fail unless a function of images commutes with every quarter turn and mirror of a group.

    Use float64 for the default tolerance; float32 rounds to about 1e-5 in a deep network. Put a network in evaluation
    mode.

    Args:
        function: see `symmetry_errors`.
        x: images, (B, C, H, W), with H and W even for the networks of this package.
        group: `p4` or `p4m`.
        tolerance: bound of the relative error.

    Raises:
        AssertionError: naming the worst element of the group and its error.
    """
    errors = symmetry_errors(function, x, group)
    worst = max(errors, key=errors.__getitem__)
    if not errors[worst] <= tolerance:
        mirrored, turns = divmod(worst, 4)
        what = f"{'a mirror and ' if mirrored else ''}{90 * turns} degrees"
        raise AssertionError(f"relative error {errors[worst]:.3g} under {what}, above {tolerance:g}")
