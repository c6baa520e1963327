r"""Filtering by a mixture of separable filters without ever building them: rows, then a mix, then columns.

With the 1-D kernels $K_n$ and the filter $F = \sum_{i+j \le N} \alpha_{ij} K_i \otimes K_j$ (i along x, j along y),

    u_i = K_i * rows of x,   p_j = sum over i of alpha_ij u_i,   y = sum over j of K_j * columns of p_j

is the same function as the dense convolution by F. For I input and O output channels and kernels of t taps this takes
(N + 1) t (I + O) + (N + 1)(N + 2) / 2 * I O products a pixel instead of t^2 I O.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


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
    rows = [depthwise(x, weight) for weight in depthwise_weights(kernels, x.shape[1], columns=False)]
    mixed = mix(rows, alpha)
    return filter_sum(mixed, depthwise_weights(kernels, alpha.shape[1], columns=True), bias)


def depthwise_weights(kernels: torch.Tensor, channels: int, columns: bool) -> list[torch.Tensor]:
    """Repeat 1-D kernels (N + 1, taps) for every channel, as weights of depthwise convolutions."""
    size, taps = kernels.shape
    shape = [size, 1, 1, taps, 1] if columns else [size, 1, 1, 1, taps]
    return list(kernels.view(shape).expand(-1, channels, -1, -1, -1).contiguous().unbind(0))


def filter_sum(
    maps: list[torch.Tensor],
    weights: list[torch.Tensor],
    bias: torch.Tensor | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Filter map n by weight n and add up, into `out` where it is given."""
    total = depthwise(maps[0], weights[0], bias)
    last = len(maps) - 1
    for n in range(1, last + 1):
        term = depthwise(maps[n], weights[n])
        if n == last and out is not None:
            return torch.add(total, term, out=out)
        total += term
    return total if out is None else out.copy_(total)


def depthwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Filter each channel by its own kernel, with zero padding that keeps the size."""
    return F.conv2d(x, weight, bias, padding=[weight.shape[2] // 2, weight.shape[3] // 2], groups=x.shape[1])


def mix(rows: list[torch.Tensor], alpha: torch.Tensor) -> list[torch.Tensor]:
    """p_j for every order, each (B, O, H, W), from every u_i (B, I, H, W): matrix products over the channels."""
    flat = [as_matrix(u) for u in rows]
    alpha = alpha.to(rows[0].dtype)  # autocast has lowered the rows, and does not see the sums in place
    shape = rows[0].shape
    mixed: list[torch.Tensor] = []
    basis = 0
    for j in range(len(rows)):
        p = flat[0] @ alpha[basis].t()
        for i in range(1, len(rows) - j):
            p.addmm_(flat[i], alpha[basis + i].t())
        basis += len(rows) - j
        mixed.append(p.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2))
    return mixed


def unmix(mixed_grad: list[torch.Tensor], alpha: torch.Tensor, like: torch.Tensor) -> list[torch.Tensor]:
    """Adjoint of `mix` by its maps: the gradient of every u_i, each of the shape of `like`."""
    flat = [as_matrix(p) for p in mixed_grad]
    batch, channels, height, width = like.shape
    rows_grad = []
    for order in range(len(flat)):
        pairs = [(flat[j], a) for a, (i, j) in zip(alpha, basis_orders(len(flat) - 1), strict=True) if i == order]
        total = pairs[0][0] @ pairs[0][1]
        for p, a in pairs[1:]:
            total.addmm_(p, a)
        rows_grad.append(total.view(batch, height, width, channels).permute(0, 3, 1, 2))
    return rows_grad


def mix_weight_grad(rows: list[torch.Tensor], mixed_grad: list[torch.Tensor]) -> torch.Tensor:
    """Adjoint of `mix` by alpha: one matrix product per basis filter."""
    u, p = [as_matrix(m) for m in rows], [as_matrix(m) for m in mixed_grad]
    return torch.stack([p[j].t() @ u[i] for i, j in basis_orders(len(rows) - 1)])


def as_matrix(x: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> (B * H * W, C), without a copy in the memory format channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def inner_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product of two maps, over the memory as it lies."""
    return torch.dot(as_matrix(a).reshape(-1), as_matrix(b).reshape(-1))
