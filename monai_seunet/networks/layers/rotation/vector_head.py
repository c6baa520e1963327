"""Head that predicts vectors in the image plane from a map over a group."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.rotation.group_conv import channels_per_orientation
from monai_seunet.networks.layers.rotation.point_group import point_group, standard_representation


class VectorHead(nn.Module):
    """Head with one vector (y, x) per pixel: the mean over the orientations of their vectors, turned back.

    Shapes: (B, R * C, H, W) -> (B, 2, H, W).
    Invariant: a turn or mirror of the map and its orientations moves the pixels of the result and turns its vectors.

    Args:
        in_channels: number of channels R * C.
        group: `p1`, `p4` or `p4m`.

    Raises:
        InputError: the group is unknown, or its orientations do not divide the channels.
    """

    def __init__(self, in_channels: int, group: str = "p4m") -> None:
        super().__init__()
        symmetries = point_group(group)
        self.order = symmetries.order
        self.vector = nn.Conv2d(channels_per_orientation(in_channels, symmetries), 2, kernel_size=1, bias=False)
        self.turns = nn.Buffer(standard_representation(symmetries).float(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one vector for each pixel."""
        turned = self.turns.to(x.dtype) @ self.vector.weight.flatten(1)  # (R, 2, C)
        return F.conv2d(x, turned.permute(1, 0, 2).reshape(2, -1, 1, 1) / self.order)
