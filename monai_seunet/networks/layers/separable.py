r"""Filtering by a mixture of separable filters without ever building them: rows, then a mix, then columns.

With the 1-D kernels $K_n$ and the filter $F = \sum_{i+j \le N} \alpha_{ij} K_i \otimes K_j$ (i along x, j along y),

    u_i = K_i * rows of x,   p_j = sum over i of alpha_ij u_i,   y = sum over j of K_j * columns of p_j

is the same function as the dense convolution by F. For I input and O output channels and kernels of t taps this takes
(N + 1) t (I + O) + (N + 1)(N + 2) / 2 * I O products a pixel instead of t^2 I O.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from monai_seunet.networks.layers.gaussian import gaussian_derivative_kernels, gaussian_derivative_kernels_grad


def basis_orders(order: int) -> list[tuple[int, int]]:
    """Orders (i along x, j along y) of the basis filters of total order up to `order`, in the order of alpha."""
    return [(i, j) for j in range(order + 1) for i in range(order + 1 - j)]


def separable_conv(
    x: torch.Tensor, alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Filter by a mixture of separable filters, with zero padding that keeps the size.

    Args:
        x: (B, I, H, W), fastest in the memory format channels_last.
        alpha: mixing weights, (number of basis filters, O, I), in the order of `basis_orders`.
        kernels: 1-D kernels of order 0 to N, (N + 1, taps), taps odd.
        bias: added to every output channel, (O,).

    Returns:
        (B, O, H, W)
    """
    return _filter_sum(_mix(_rows(x, kernels), alpha), kernels, columns=True, bias=bias)


class SeparableGaussianConv(torch.autograd.Function):
    """`separable_conv` by Gaussian derivatives, with the gradients of x, alpha and sigma by hand.

    The gradient of a depthwise weight is many times slower than its forward pass on a CPU, and it is not needed: sigma
    moves a kernel along its derivative by sigma, so that its gradient is one inner product per pass, and alpha takes
    one matrix product per basis filter. `recompute` keeps x alone for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        radius: int,
        order: int,
        truncation: float,
        recompute: bool,
    ) -> torch.Tensor:
        """Filter x (B, I, H, W) at one scale `sigma` (1,)."""
        kernels = gaussian_derivative_kernels(sigma, order, radius, truncation)[:, 0].to(x.dtype)
        slopes = gaussian_derivative_kernels_grad(sigma, order, radius, truncation)[:, 0].to(x.dtype)
        rows = _rows(x, kernels)
        mixed = _mix(rows, alpha)
        kept = [] if recompute else [*rows, *mixed]
        ctx.save_for_backward(x, alpha, kernels, slopes, *kept)
        return _filter_sum(mixed, kernels, columns=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, alpha and sigma."""
        x, alpha, kernels, slopes, *kept = ctx.saved_tensors
        needs_x, needs_alpha, needs_sigma = ctx.needs_input_grad[:3]
        size = len(kernels)
        rows = kept[:size] or _rows(x, kernels)
        mixed = kept[size:] or (_mix(rows, alpha) if needs_sigma else [])
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_sigma = grad.new_zeros(1, dtype=torch.float64)
        if needs_sigma:
            for p, slope in zip(mixed, slopes, strict=True):
                grad_sigma += _inner(grad, _filter(p, slope, columns=True))
        del mixed
        adjoint = _adjoint(kernels)
        mixed_grad = [_filter(grad, kernel, columns=True) for kernel in adjoint]
        grad_alpha = _mix_weight_grad(rows, mixed_grad, alpha) if needs_alpha else None
        del rows
        if not (needs_x or needs_sigma):
            return None, grad_alpha, None, None, None, None, None
        rows_grad = _unmix(mixed_grad, alpha, x)
        del mixed_grad
        if needs_sigma:
            for u, slope in zip(rows_grad, slopes, strict=True):
                grad_sigma += _inner(u, _filter(x, slope, columns=False))
        grad_x = _filter_sum(rows_grad, adjoint, columns=False) if needs_x else None
        return grad_x, grad_alpha, grad_sigma.to(alpha.dtype), None, None, None, None


def _filter(x: torch.Tensor, kernel: torch.Tensor, columns: bool, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Filter every row, or every column, of every channel by one 1-D kernel."""
    channels, taps = x.shape[1], kernel.shape[0]
    shape, padding = ([1, 1, taps, 1], [taps // 2, 0]) if columns else ([1, 1, 1, taps], [0, taps // 2])
    weight = kernel.view(shape).expand(channels, -1, -1, -1).contiguous()
    return F.conv2d(x, weight, bias, padding=padding, groups=channels)


def _filter_sum(
    maps: list[torch.Tensor], kernels: torch.Tensor, columns: bool, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Filter map n by kernel n and add up."""
    total = _filter(maps[0], kernels[0], columns, bias)
    for n in range(1, len(maps)):
        total += _filter(maps[n], kernels[n], columns)
    return total


def _rows(x: torch.Tensor, kernels: torch.Tensor) -> list[torch.Tensor]:
    """u_i for every order, each (B, I, H, W)."""
    return [_filter(x, kernels[i], columns=False) for i in range(kernels.shape[0])]


def _mix(rows: list[torch.Tensor], alpha: torch.Tensor) -> list[torch.Tensor]:
    """p_j for every order, each (B, O, H, W): matrix products over the channels."""
    flat = [_as_matrix(u) for u in rows]
    shape = rows[0].shape
    mixed: list[torch.Tensor] = []
    basis = 0
    for j in range(len(rows)):
        p = flat[0] @ alpha[basis].t()
        for i in range(1, len(rows) - j):
            p = torch.addmm(p, flat[i], alpha[basis + i].t())
        basis += len(rows) - j
        mixed.append(p.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2))
    return mixed


def _unmix(mixed_grad: list[torch.Tensor], alpha: torch.Tensor, like: torch.Tensor) -> list[torch.Tensor]:
    """Adjoint of `_mix`: gradients of every u_i, each of the shape of `like`."""
    flat = [_as_matrix(p) for p in mixed_grad]
    batch, channels, height, width = like.shape
    rows_grad = []
    for i in range(len(flat)):
        pairs = [(flat[j], a) for a, (row, j) in zip(alpha, basis_orders(len(flat) - 1), strict=True) if row == i]
        total = pairs[0][0] @ pairs[0][1]
        for p, a in pairs[1:]:
            total.addmm_(p, a)
        rows_grad.append(total.view(batch, height, width, channels).permute(0, 3, 1, 2))
    return rows_grad


def _mix_weight_grad(rows: list[torch.Tensor], mixed_grad: list[torch.Tensor], alpha: torch.Tensor) -> torch.Tensor:
    """Gradient of alpha: one matrix product per basis filter."""
    u, p = [_as_matrix(m) for m in rows], [_as_matrix(m) for m in mixed_grad]
    return torch.stack([p[j].t() @ u[i] for i, j in basis_orders(len(rows) - 1)]).view_as(alpha)


def _adjoint(kernels: torch.Tensor) -> torch.Tensor:
    """Flip every kernel: that of order n is even or odd, so that a sign does it."""
    sign = torch.ones(kernels.shape[0], 1, dtype=kernels.dtype, device=kernels.device)
    sign[1::2] = -1
    return kernels * sign


def _as_matrix(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B * H * W, C), without a copy in the memory format channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product of two maps, taken over the memory as it lies."""
    return torch.dot(_as_matrix(a).reshape(-1), _as_matrix(b).reshape(-1))
