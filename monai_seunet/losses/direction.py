"""Loss of predicted directions to the centres of objects."""

from __future__ import annotations

import torch
from torch import nn


class DirectionLoss(nn.Module):
    """Mean squared error of the directions over the pixels of complete objects.

    Shapes: directions (B, S, 2, H, W) and target (B, 3, H, W) from `CentreDirections` -> scalar.
    Invariant: all scale groups and all pixels of complete objects have equal weight; without such pixels the loss is 0.

    Args:
        step: interval of the used pixels, with a random start in each call; neighbouring pixels have similar
            directions, and using all of them would take as long as the network.

    Raises:
        ValueError: for a target whose shape does not fit the directions.

    >>> DirectionLoss()(torch.zeros(1, 1, 2, 4, 4), torch.ones(1, 3, 4, 4))
    tensor(2.)
    """

    def __init__(self, step: int = 3) -> None:
        super().__init__()
        self.step = step

    def forward(self, directions: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean squared length of the error vectors, a scalar."""
        shape, expected = list(directions.shape), [len(directions), 3, *directions.shape[-2:]]
        if directions.dim() != 5 or directions.shape[2] != 2 or list(target.shape) != expected:
            raise ValueError(f"directions of shape {shape} and a target of shape {list(target.shape)} do not fit")
        start, total, count = float(torch.rand(())), directions.new_zeros(()), 0
        for predicted, truth in zip(directions.flatten(3), target.flatten(2), strict=True):  # (S, 2, H W) and (3, H W)
            pixels = truth[2].nonzero()[:, 0]
            pixels = pixels[int(start * min(self.step, len(pixels))) :: self.step]
            error = predicted[..., pixels] - truth[:2, pixels].to(predicted.dtype)
            total, count = total + error.square().sum(), count + len(pixels)
        return total / max(1, count * directions.shape[1])
