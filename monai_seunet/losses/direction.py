"""Loss of the predicted directions to the centres of objects."""

from __future__ import annotations

import torch
from torch import nn


class DirectionLoss(nn.Module):
    """Mean square error of the directions, over the pixels of whole objects.

    Shapes: directions (B, S, 2, H, W) and target (B, 3, H, W), as `CentreDirections` makes it -> scalar.
    Invariant: all scale groups and all pixels of whole objects count alike; 0 where there is no such pixel.

    Args:
        step: of these pixels one in `step` is taken, from another start at each call. All of them would cost as much
            as the network, and the directions of neighbours say nearly the same.

    Raises:
        ValueError: where the target does not fit the directions.
    """

    def __init__(self, step: int = 3) -> None:
        super().__init__()
        self.step = step

    def forward(self, directions: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean squared length of the error, a scalar."""
        shape, wanted = list(directions.shape), [len(directions), 3, *directions.shape[-2:]]
        if directions.dim() != 5 or directions.shape[2] != 2 or list(target.shape) != wanted:
            raise ValueError(f"directions of shape {shape} and a target of shape {list(target.shape)} do not fit")
        place, total, count = float(torch.rand(())), directions.new_zeros(()), 0
        for found, truth in zip(directions.flatten(3), target.flatten(2), strict=True):  # (S, 2, H W) and (3, H W)
            pixels = truth[2].nonzero()[:, 0]
            pixels = pixels[int(place * min(self.step, len(pixels))) :: self.step]
            error = found[..., pixels] - truth[:2, pixels].to(found.dtype)
            total, count = total + error.square().sum(), count + len(pixels)
        return total / max(1, count * directions.shape[1])
