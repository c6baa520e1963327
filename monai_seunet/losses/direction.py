"""Loss of predicted directions to the centres of objects."""

from __future__ import annotations

import torch
from torch import nn


class DirectionLoss(nn.Module):
    """Mean squared error of the directions over the pixels of complete objects.

    Shapes: directions (B, S, 2, H, W), target (B, 3, H, W) from `CentreDirections` and, optionally, the shares
    (B, S, H, W) of the scale groups in each pixel, which sum to 1 -> scalar.
    Invariant: all pixels of complete objects have equal weight, and without shares all scale groups; without such
    pixels the loss is 0.

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

    def forward(
        self, directions: torch.Tensor, target: torch.Tensor, shares: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the mean squared length of the error vectors, a scalar."""
        shape, expected = list(directions.shape), [len(directions), 3, *directions.shape[-2:]]
        if directions.dim() != 5 or directions.shape[2] != 2 or list(target.shape) != expected:
            raise ValueError(f"directions of shape {shape} and a target of shape {list(target.shape)} do not fit")
        start, total, count = float(torch.rand(())), directions.new_zeros(()), 0
        equal = directions.new_full((1, directions.shape[1], 1), 1 / directions.shape[1])
        of_pixels = equal.expand(len(directions), -1, target[0, 0].numel()) if shares is None else shares.flatten(2)
        images = zip(directions.flatten(3), target.flatten(2), of_pixels, strict=True)
        for predicted, truth, weight in images:  # (S, 2, H W), (3, H W) and (S, H W)
            pixels = truth[2].nonzero()[:, 0]
            pixels = pixels[int(start * min(self.step, len(pixels))) :: self.step]
            error = predicted[..., pixels] - truth[:2, pixels].to(predicted.dtype)
            total, count = total + (weight[:, pixels] * error.square().sum(1)).sum(), count + len(pixels)
        return total / max(1, count)
