"""Convolutions that commute with quarter turns and mirrors, because all orientations share their filters.

A feature map over a group of R symmetries is an ordinary map of R * C channels, orientation by orientation:
(B, R * C, H, W). Pooling, interpolation and activations are then plain operations.
"""

from __future__ import annotations

import copy
import math
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.expansion import ExpansionCache
from monai_seunet.networks.layers.recording import is_recorded
from monai_seunet.networks.layers.rotation.group_fourier import GroupFourierConv, Spectrum, fourier_conv, to_spectrum
from monai_seunet.networks.layers.rotation.point_group import PointGroup, filter_index, point_group
from monai_seunet.utils.errors import InputError

# Least channels per orientation for which the Fourier form is faster, by group and by the need of gradients, measured
# by `scripts/benchmarks/group_conv.py`. With gradients, p4 saves less than the transform of its weights costs.
FOURIER_CHANNELS = {("p4m", True): 32, ("p4m", False): 32, ("p4", False): 128}


def channels_per_orientation(channels: int, group: PointGroup) -> int:
    """Return the number of channels of one orientation.

    Raises:
        InputError: the orientations do not divide the channels; the message names the nearest number.
    """
    if channels % group.order:
        nearest = max(1, round(channels / group.order)) * group.order
        raise InputError(
            f"{channels} channels do not divide into the {group.order} orientations of {group.name}; "
            f"the nearest is {nearest}"
        )
    return channels // group.order


class _Expanding(nn.Module):
    """A filter (O, I, R, k, k), and the bank of all its turns and mirrors for an ordinary convolution.

    The weight is stored as (O, I, R * k * k), because torch cannot convert parameters of five axes to channels_last.
    """

    def __init__(
        self, in_channels: int, out_channels: int, group: str, kernel_size: int, lifting: bool, bias: bool
    ) -> None:
        super().__init__()
        self.group = point_group(group)
        self.kernel_size, self.lifting = kernel_size, lifting
        inputs = in_channels if lifting else channels_per_orientation(in_channels, self.group)
        outputs = channels_per_orientation(out_channels, self.group)
        index = filter_index(self.group, kernel_size, lifting)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, index.shape[1] * kernel_size**2))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.index = nn.Buffer(index, persistent=False)
        # this deviation keeps the variance of a sum over input channels, orientations and taps through a ReLU
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / self.weight[0].numel()))
        self._expanded: ExpansionCache[Any] = ExpansionCache()

    def expanded_weight(self) -> torch.Tensor:
        """Return the weight (R * O, R' * I, k, k) of the ordinary convolution with the same function."""
        bank = self.weight[:, :, self.index]  # (O, I, R, R', k, k)
        return bank.permute(2, 0, 3, 1, 4, 5).flatten(2, 3).flatten(0, 1)

    def filters(self) -> torch.Tensor:
        """Return the filter, (O, I, R, k, k)."""
        return self.weight.unflatten(2, [self.index.shape[1], self.kernel_size, self.kernel_size])

    def expanded_bias(self) -> torch.Tensor | None:
        """Return the bias (R * O,) of the ordinary convolution."""
        return None if self.bias is None else self.bias.repeat(self.index.shape[0])

    def extra_repr(self) -> str:
        """Return group, channels of an orientation, and form."""
        outputs, inputs = self.weight.shape[:2]
        form = ", lifting" if self.lifting else ""
        return f"{self.group.name}, {inputs}, {outputs}, kernel_size={self.kernel_size}{form}"


class GroupConv2d(_Expanding):
    """Convolution over a group of quarter turns and mirrors (p4, p4m), or from an image to it.

    Shapes: x (B, R * I, H, W), or (B, I, H, W) if `lifting`, -> (B, R * O, H, W); orientations are outermost.
    Invariant: the layer commutes exactly with turns and mirrors of x and its orientations.
    Limits: wide layers use a Fourier transform over the orientations, which rounds differently.

    Args:
        in_channels: number of channels of the map, R * I, or of the image if `lifting`.
        out_channels: number of channels of the output, R * O.
        group: `p4`, `p4m`, or `p1` for an ordinary convolution.
        kernel_size: number of taps k, odd.
        lifting: True if x is an image and not a map over the group.
        bias: True to add one number for each of the O filters.

    Raises:
        InputError: the group is unknown, or its orientations do not divide the channels.
        ValueError: the kernel size is even.

    References:
        Cohen & Welling, Group Equivariant Convolutional Networks, 2016.

    >>> GroupConv2d(3, 8, group="p4", lifting=True)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 8, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        group: str = "p4m",
        kernel_size: int = 3,
        lifting: bool = False,
        bias: bool = False,
    ) -> None:
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; a kernel that keeps the size is odd")
        super().__init__(in_channels, out_channels, group, kernel_size, lifting, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter x."""
        bias = self.expanded_bias()
        learns = torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)
        if not self._prefers_fourier(x, learns):
            bank = self._expanded.get(self.weight, "bank", lambda _: self.expanded_weight())
            return F.conv2d(x, bank, bias, padding=self.kernel_size // 2)
        if learns:
            y = GroupFourierConv.apply(x, self.filters(), self.group)
        else:
            spectrum: Spectrum = self._expanded.get(
                self.weight, "spectrum", lambda _: to_spectrum(self.filters(), self.group)
            )
            y = fourier_conv(x, spectrum, self.group, self.kernel_size)
        return y if bias is None else y + bias.view(1, -1, 1, 1)

    def _prefers_fourier(self, x: torch.Tensor, learns: bool) -> bool:
        device = x.device.type
        if is_recorded() or torch.is_autocast_enabled(device):
            return False
        wide = min(self.weight.shape[:2]) >= FOURIER_CHANNELS.get((self.group.name, learns), math.inf)
        return wide and not self.lifting and self.kernel_size > 1 and device == "cpu" and x.dtype == self.weight.dtype

    def folded(self, norm: nn.Module) -> GroupConv2d:
        """Return the layer for inference, with the norm after it folded in."""
        layer = copy.deepcopy(self)
        if isinstance(norm, nn.Identity):
            return layer
        scale, offset = norm.affine()  # type: ignore[operator]
        with torch.no_grad():
            layer.weight.mul_(scale.view(-1, 1, 1))
            bias = offset if self.bias is None else offset + self.bias * scale
            layer.bias = nn.Parameter(bias.clone())
        return layer

    def ordinary(self) -> nn.Conv2d:
        """Return an ordinary convolution with the same function, for export."""
        bank, bias = self.expanded_weight().detach(), self.expanded_bias()
        padding = self.kernel_size // 2
        conv = nn.Conv2d(bank.shape[1], bank.shape[0], self.kernel_size, padding=padding, bias=bias is not None)
        return with_weights(conv, bank, bias)


class GroupConvTranspose2d(_Expanding):
    """Transposed convolution over a group that doubles H and W, with kernel size and stride 2.

    Shapes: x (B, R * I, H, W) -> (B, R * O, 2H, 2W); orientations are outermost.
    Invariant: the layer commutes exactly with turns and mirrors of x and its orientations.

    Args:
        in_channels: number of channels of the map, R * I.
        out_channels: number of channels of the output, R * O.
        group: `p4`, `p4m`, or `p1` for an ordinary transposed convolution.
        bias: True to add one number for each of the O filters.

    Raises:
        InputError: the group is unknown, or its orientations do not divide the channels.
    """

    def __init__(self, in_channels: int, out_channels: int, group: str = "p4m", bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, group, kernel_size=2, lifting=False, bias=bias)
        with torch.no_grad():
            self.weight.mul_(2)  # each pixel of the output has only one of the four taps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spread every pixel of x over two by two pixels."""
        weight = self._expanded.get(self.weight, "bank", lambda _: self.expanded_weight())
        return F.conv_transpose2d(x, weight.transpose(0, 1), self.expanded_bias(), stride=2)

    def ordinary(self) -> nn.ConvTranspose2d:
        """Return an ordinary transposed convolution with the same function, for export."""
        bank, bias = self.expanded_weight().detach().transpose(0, 1), self.expanded_bias()
        conv = nn.ConvTranspose2d(bank.shape[0], bank.shape[1], 2, stride=2, bias=bias is not None)
        return with_weights(conv, bank, bias)


Conv = TypeVar("Conv", nn.Conv2d, nn.ConvTranspose2d)


def with_weights(conv: Conv, weight: torch.Tensor, bias: torch.Tensor | None) -> Conv:
    """Set the weight of an ordinary convolution, and its bias if it has one."""
    conv = conv.to(weight)
    conv.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias.detach()}))
    return conv
