"""Norm, pooling, concatenation and vectors of maps (B, R * C, H, W) over a group, with the orientations outermost."""

from __future__ import annotations

import torch
from monai.networks.layers import Norm
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.narrow_norm import NarrowBatchNorm2d
from monai_seunet.networks.layers.rotation.group_conv import channels_per_orientation
from monai_seunet.networks.layers.rotation.point_group import point_group, standard_representation
from monai_seunet.utils.errors import InputError


class OrientationBatchNorm2d(nn.Module):
    """Batch norm whose statistics and affine are shared by the orientations, so training keeps the symmetry.

    Shapes: (B, R * C, H, W) -> (B, R * C, H, W).
    Invariant: the norm commutes with every permutation of the orientations.

    Args:
        num_features: number of channels R * C.
        group: `p1`, `p4` or `p4m`.
        eps: number that is added to the variance.
        momentum: momentum of the running statistics.

    Raises:
        InputError: the group is unknown, or its orientations do not divide the channels.
    """

    def __init__(self, num_features: int, group: str = "p4m", eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.order = point_group(group).order
        channels = channels_per_orientation(num_features, point_group(group))
        self.norm = NarrowBatchNorm2d(channels, eps=eps, momentum=momentum)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise every channel."""
        batch, _, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1)  # the orientations of a pixel become neighbouring pixels
        side_by_side = pixels.reshape(batch, height, width * self.order, -1).permute(0, 3, 1, 2)
        y = self.norm(side_by_side)
        return y.permute(0, 2, 3, 1).reshape(batch, height, width, -1).permute(0, 3, 1, 2)

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the factor and the offset of the norm in evaluation mode, (C,) each."""
        norm = self.norm
        scale = norm.weight * (norm.get_buffer("running_var") + norm.eps).rsqrt()
        return scale, norm.bias - norm.get_buffer("running_mean") * scale


class OrientationPool(nn.Module):
    """Maximum or mean over the orientations of a map over a group.

    Shapes: (B, R * C, H, W) -> (B, C, H, W).
    Invariant: a turn or mirror of the map and its orientations turns or mirrors the result as an image.

    Args:
        group: `p1`, `p4` or `p4m`.
        mode: `max` or `mean`.

    Raises:
        InputError: the group or the mode is unknown.
    """

    def __init__(self, group: str = "p4m", mode: str = "max") -> None:
        super().__init__()
        if mode not in ("max", "mean"):
            raise InputError(f"group_pooling is '{mode}'; choose max or mean")
        self.order, self.mode = point_group(group).order, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool over the orientations."""
        maps = x.unflatten(1, [self.order, x.shape[1] // self.order])
        return maps.amax(1) if self.mode == "max" else maps.mean(1)


class OrientationConcat(nn.Module):
    """Concatenate maps channel by channel within every orientation.

    Shapes: a (B, R * C, H, W), b (B, R * D, H, W) -> (B, R * (C + D), H, W).

    Args:
        group: `p1`, `p4` or `p4m`.
    """

    def __init__(self, group: str = "p4m") -> None:
        super().__init__()
        self.order = point_group(group).order

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Concatenate the maps."""
        batch, _, height, width = a.shape
        maps = [x.permute(0, 2, 3, 1).reshape(batch, height, width, self.order, -1) for x in (a, b)]
        return torch.cat(maps, dim=4).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


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


@Norm.factory_function("orientation_batch")
def orientation_batch_factory(dim: int) -> type[OrientationBatchNorm2d]:
    """Return the norm for the name `orientation_batch` in MONAI's `Norm`, for two dimensions."""
    if dim != 2:
        raise ValueError(f"the norm orientation_batch has 2 spatial dimensions, got {dim}")
    return OrientationBatchNorm2d
