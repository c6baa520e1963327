"""What the tests of networks share: images, training steps and the scripted form."""

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional as F


def image(height: int = 24, width: int = 40) -> torch.Tensor:
    """Detail of every size, so no octave sees grey alone."""
    layers = [torch.randn(2, 3, -(-height // side), -(-width // side), dtype=torch.float64) for side in (1, 4, 16)]
    larger = [F.interpolate(x, scale_factor=side) for x, side in zip(layers, (1, 4, 16), strict=True)]
    return torch.stack([x[..., :height, :width] for x in larger]).sum(0)


def trained(
    net: torch.nn.Module, draw: Callable[[], torch.Tensor] | None = None, steps: int = 3, rate: float = 0.01
) -> torch.nn.Module:
    """The network after some optimiser steps on images that are drawn, or on noise, in evaluation mode."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    dtype = next(net.parameters()).dtype
    for _ in range(steps):
        optimizer.zero_grad()
        (net(draw() if draw else torch.rand(2, 3, 32, 32, dtype=dtype)) - 1).square().mean().backward()
        optimizer.step()
    return net.eval()


@torch.no_grad()
def assert_scripted_alike(net: torch.nn.Module, *images: torch.Tensor, atol: float = 1e-10, rtol: float = 0) -> None:
    """The scripted form gives what the network gives."""
    with pytest.warns(DeprecationWarning, match=r"torch.jit.script. is deprecated"):
        scripted = torch.jit.script(net)
    for x in images:
        torch.testing.assert_close(scripted(x), net(x), atol=atol, rtol=rtol)
