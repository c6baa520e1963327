"""Checks that a function of images is equivariant, for use in your own tests."""

from __future__ import annotations

from collections.abc import Callable

import torch

from monai_seunet.networks.layers.rotation.point_group import point_group

Function = Callable[[torch.Tensor], torch.Tensor]


def symmetry_errors(function: Function, x: torch.Tensor, group: str = "p4m") -> dict[int, float]:
    """Measure the equivariance error of a function of images under quarter turns and mirrors.

    Args:
        function: function that maps images (B, C, H, W) to maps (..., H, W), which should turn with the images, or to
            numbers (B, N), which should not change.
        x: images (B, C, H, W).
        group: `p4` or `p4m`.

    Returns:
        The largest |f(g x) - g f(x)| divided by the largest |f(x)|, for every element g except the identity.

    >>> symmetry_errors(torch.nn.ReLU(), torch.rand(1, 3, 8, 8), group="p4")
    {1: 0.0, 2: 0.0, 3: 0.0}
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
    """Assert that a function of images commutes with every quarter turn and mirror of a group.

    Limits: the default tolerance needs float64, because rounding in float32 gives errors of about 1e-5 in a deep
    network. Networks must be in evaluation mode.

    Args:
        function: function of images as in `symmetry_errors`.
        x: images (B, C, H, W); networks of this package need even H and W.
        group: `p4` or `p4m`.
        tolerance: largest allowed relative error.

    Raises:
        AssertionError: for a larger error; it names the worst element of the group and its error.

    >>> assert_equivariant(torch.nn.AvgPool2d(2), torch.rand(1, 3, 8, 8, dtype=torch.float64))
    """
    errors = symmetry_errors(function, x, group)
    worst = max(errors, key=errors.__getitem__)
    if not errors[worst] <= tolerance:
        mirrored, turns = divmod(worst, 4)
        element = f"{'a mirror and ' if mirrored else ''}{90 * turns} degrees"
        raise AssertionError(f"relative error {errors[worst]:.3g} under {element}, above {tolerance:g}")
