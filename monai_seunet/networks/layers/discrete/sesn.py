"""Convolution by learned mixtures of Hermite functions at fixed scales (SESN)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from monai_seunet.networks.layers.expansion import ExpansionCache
from monai_seunet.networks.layers.gaussian.hermite import hermite_gaussian_kernels, support_radii
from monai_seunet.networks.layers.gaussian.scale_conv_autograd import group_backward
from monai_seunet.networks.layers.recording import is_recorded
from monai_seunet.networks.layers.scale_groups import DiscreteScaleConv, FoldedDense, FoldedSeparable
from monai_seunet.networks.layers.separable import basis_orders, separable_conv
from monai_seunet.utils.errors import InputError


class SESNConv2d(DiscreteScaleConv):
    r"""Convolution by $F_k = \sum_{i+j \le N} \alpha_{ij} \psi_{ij}(s_k)$ for scale group k, with shared alpha.

    The Hermite functions $\psi_{ij}$ and the scales $s_k$ are fixed. Training changes alpha. The basis is type B of the
    official code: all products of Hermite functions up to the total order N, at one width. For N = 4, these are 15
    functions. (Type A has all orders up to N along each axis.)

    Shapes: see `ScaleGroupConv`.
    Invariant: see `ScaleGroupConv`. A zoom of the input by s turns the filters of a group into the filters of the group
    with s times its scale.
    Limits: the layer equals its dense form (`forward_dense`) up to rounding. It commutes with zoom only approximately,
    because the functions are sampled, and cut off at about one standard deviation.

    Args:
        in_channels: number of channels I of one group, or of the image if `lifting`.
        out_channels: number of channels O of one group.
        scales: standard deviations in pixels, rising.
        order: highest total order N of the polynomials.
        kernel_size: number of taps at the largest scale; other scales have taps in proportion.
        lifting: True if every group has the same input, as in the first layer of a network.

    Raises:
        InputError: the scales do not rise, the size is even, or the order is negative.

    References:
        Sosnovik, Szmaja, Smeulders, Scale-Equivariant Steerable Networks, 2020 (arXiv 1910.11093).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scales: Sequence[float] = (1, 2, 3, 4, 5),
        order: int = 4,
        kernel_size: int = 11,
        lifting: bool = False,
    ) -> None:
        super().__init__(len(scales), lifting)
        if order < 0:
            raise InputError(f"order is {order}; the Hermite polynomials have order 0 or more")
        self.scales = [float(scale) for scale in scales]
        self.order = order
        self.radii = support_radii(self.scales, kernel_size)
        self.dense = [dense_is_faster(2 * r + 1, order, in_channels, out_channels) for r in self.radii]
        self.alpha = nn.Parameter(torch.empty(len(basis_orders(order)), out_channels, in_channels))
        kernels = hermite_gaussian_kernels(self.scales, order, self.radii)  # (N + 1, S, taps)
        rows, columns = zip(*basis_orders(order), strict=True)
        basis = kernels[list(columns)][..., :, None] * kernels[list(rows)][..., None, :]  # (F, S, taps, taps)
        self.kernels: torch.Tensor = nn.Buffer(kernels.to(self.alpha.dtype), persistent=False)
        self.basis: torch.Tensor = nn.Buffer(basis.to(self.alpha.dtype), persistent=False)
        self._expanded: ExpansionCache[torch.Tensor] = ExpansionCache()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw alpha; a sum over channels and basis filters keeps its variance through a ReLU."""
        nn.init.normal_(self.alpha, std=math.sqrt(2.0 / (self.alpha.shape[0] * self.alpha.shape[2])))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group, by its dense filter or by rows, mix and columns."""
        outputs = []
        for k, group in enumerate(self.groups(x)):
            if self.dense[k]:
                outputs.append(F.conv2d(group, self._filter(k), padding=self.radii[k]))
            else:
                outputs.append(self._separable(group, k))
        return torch.cat(outputs)

    def expand(self, k: int) -> torch.Tensor:
        """See `DiscreteScaleConv`."""
        basis = _crop(_crop(self.basis[:, k], self.radii[k], 1), self.radii[k], 2)
        return torch.einsum("noi,nyx->oiyx", self.alpha, basis)

    def group_kernels(self, k: int) -> torch.Tensor:
        """Return the 1-D kernels of group k, (N + 1, taps)."""
        return _crop(self.kernels[:, k], self.radii[k], 1)

    def _filter(self, k: int) -> torch.Tensor:
        return self._expanded.get(self.alpha, k, self.expand)

    def _separable(self, x: torch.Tensor, k: int) -> torch.Tensor:
        kernels = self.group_kernels(k)
        if not torch.is_grad_enabled() or is_recorded():
            return separable_conv(x, self.alpha, kernels)
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        with torch.autocast(device, enabled=False):
            return _Separable.apply(x.to(dtype), self.alpha.to(dtype), kernels.to(dtype))

    def subset(self, groups: Sequence[int]) -> SESNConv2d:
        """Keep only the given scale groups, in place, and return the layer."""
        self.num_scales = len(groups)
        self.scales, self.radii = [self.scales[k] for k in groups], [self.radii[k] for k in groups]
        self.dense = [self.dense[k] for k in groups]
        self.kernels, self.basis = self.kernels[:, list(groups)], self.basis[:, list(groups)]
        self._expanded.clear()
        return self

    def folded_group(self, k: int, scale: torch.Tensor, bias: torch.Tensor) -> nn.Module:
        """See `DiscreteScaleConv`."""
        if self.dense[k]:
            return FoldedDense(self._filter(k) * scale[:, None, None, None], bias)
        return FoldedSeparable(self.alpha * scale[:, None], self.group_kernels(k), bias)

    def extra_repr(self) -> str:
        """Return channels, scales and form."""
        _, out_channels, in_channels = self.alpha.shape
        form = ", lifting" if self.lifting else ""
        return f"{in_channels}, {out_channels}, scales={self.scales}, order={self.order}{form}"


def dense_is_faster(taps: int, order: int, in_channels: int, out_channels: int) -> bool:
    """Return whether one dense convolution is faster than rows, mix and columns.

    A dense convolution needs taps^2 products per pixel and pair of channels. The other form needs one for every basis
    filter, and passes over 2 (N + 1) maps, which cost 80 (N + 1) (1 / I + 1 / O) products. The factor 80 was fitted to
    training steps of 17 pairs of channels between 3 and 192, on one core with AVX-512 and order 4. The chosen form is
    at most 6 % slower than the other in these steps.
    """
    passes = 80 * (order + 1) * (1 / in_channels + 1 / out_channels)
    return taps**2 <= len(basis_orders(order)) + passes


def _crop(kernels: torch.Tensor, radius: int, dim: int) -> torch.Tensor:
    """Crop one axis to the taps of one group."""
    return kernels.narrow(dim, kernels.shape[dim] // 2 - radius, 2 * radius + 1)


class _Separable(torch.autograd.Function):
    """`separable_conv` with fixed kernels, and explicit gradients of x and alpha."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, alpha: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, alpha, kernels)
        return separable_conv(x, alpha, kernels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, alpha, kernels = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_alpha, _, grad_x = group_backward(x, alpha, grad, kernels, None, [], ctx.needs_input_grad[0], None)
        return grad_x, grad_alpha, None
