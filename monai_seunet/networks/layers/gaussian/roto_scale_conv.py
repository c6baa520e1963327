"""Convolution over scale groups and quarter turns by exactly steered Gaussian derivatives."""

from __future__ import annotations

import torch
from torch import nn

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import Bounds
from monai_seunet.networks.layers.rotation.group_conv import channels_per_orientation
from monai_seunet.networks.layers.rotation.point_group import PointGroup, point_group
from monai_seunet.networks.layers.separable import basis_orders


class RotoScaleConv2d(ScaleConv2d):
    r"""A scale convolution whose filters are also shared by the orientations of a group.

    A quarter turn maps the derivative $G^{ij}$ (order i along x, j along y) to $(-1)^i G^{ji}$, and a mirror maps it to
    $(-1)^i G^{ij}$. A turned filter therefore has the same basis with permuted, signed weights.

    Shapes: x (S * B, R * I, H, W), or (B, I, H, W) if `lifting`, -> (S * B, R * O, H, W); orientations are the outer
    part of the channels.
    Invariant: the layer commutes exactly with turns and mirrors of x and its orientations; see `ScaleConv2d` for
    scales.

    Args:
        in_channels: number of channels of one scale group in all orientations, or of the image if `lifting`.
        out_channels: number of channels of one scale group in all orientations.
        group: `p4` or `p4m`.

    The other arguments are those of `ScaleConv2d`.

    Raises:
        InputError: the group is unknown, or its orientations do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bounds: Bounds,
        group: str = "p4m",
        order: int = 1,
        sigma_mode: str = "constrained",
        truncation: float = 2.0,
        lifting: bool = False,
        recompute: bool = False,
    ) -> None:
        symmetries = point_group(group)
        inputs = in_channels if lifting else channels_per_orientation(in_channels, symmetries) * symmetries.order
        outputs = channels_per_orientation(out_channels, symmetries)
        super().__init__(inputs, outputs, bounds, order, sigma_mode, truncation, lifting, recompute)
        source, sign = steering(symmetries, order)
        elements = range(symmetries.order)
        relative = [[symmetries.product(symmetries.inverse(h), other) for other in elements] for h in elements]
        related = torch.zeros(symmetries.order, 1).long() if lifting else torch.tensor(relative)
        self.source, self.sign = nn.Buffer(source, persistent=False), nn.Buffer(sign, persistent=False)
        self.relative = nn.Buffer(related, persistent=False)

    def mixing(self) -> torch.Tensor:
        """Return the weights (number of filters, R * O, R' * I) of the basis filters for all orientations."""
        alpha = self.alpha.unflatten(2, [self.relative.shape[1], -1])  # (filters, O, R', I)
        turned = alpha[self.source[:, :, None], :, self.relative[:, None, :]]  # (R, filters, R', O, I)
        turned = turned * self.sign[:, :, None, None, None].to(alpha.dtype)
        return turned.permute(1, 0, 3, 2, 4).flatten(3, 4).flatten(1, 2)

    def extra_repr(self) -> str:
        """Return channels, order, orientations and form."""
        return f"{super().extra_repr()}, orientations={self.source.shape[0]}"


def steering(group: PointGroup, order: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how a group permutes and signs the basis filters up to the total order `order`.

    Returns:
        `source` and `sign`, (R, number of filters) each: basis filter m of a filter moved by h has the weight of filter
        `source[h, m]` times `sign[h, m]`.
    """
    orders = basis_orders(order)
    position = {pair: n for n, pair in enumerate(orders)}
    source = torch.zeros(group.order, len(orders), dtype=torch.long)
    sign = torch.ones(group.order, len(orders))
    for h in range(group.order):
        mirrored, turns = divmod(h, 4)
        for n, (i, j) in enumerate(orders):
            factor = (-1) ** i if mirrored else 1
            for _ in range(turns):
                factor *= (-1) ** i
                i, j = j, i
            source[h, position[i, j]], sign[h, position[i, j]] = n, factor
    return source, sign
