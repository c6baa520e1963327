r"""Filtering by a mixture of separable filters in three steps: rows, mix, columns.

With the 1-D kernels $K_n$ and the filter $F = \sum_{i+j \le N} \alpha_{ij} K_i \otimes K_j$ (i along x, j along y),

    u_i = K_i * rows of x,   p_j = sum over i of alpha_ij u_i,   y = sum over j of K_j * columns of p_j

is the dense convolution by F. For I input and O output channels and kernels of t taps, it needs
(N + 1) t (I + O) + (N + 1)(N + 2) / 2 * I O products per pixel instead of t^2 I O.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def basis_orders(order: int) -> list[tuple[int, int]]:
    """Return the orders (i along x, j along y) of the basis filters up to the total order `order`, as alpha has them.

    >>> basis_orders(1)
    [(0, 0), (1, 0), (0, 1)]
    """
    return [(i, j) for j in range(order + 1) for i in range(order + 1 - j)]


def separable_conv(
    x: torch.Tensor, alpha: torch.Tensor, kernels: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Filter by a mixture of separable filters, with zero padding that keeps the size.

    Args:
        x: input (B, I, H, W), fastest in the memory format channels_last.
        alpha: mixing weights (number of basis filters, O, I), in the order of `basis_orders`.
        kernels: 1-D kernels (N + 1, taps) of order 0 to N, with an odd number of taps.
        bias: bias (O,) of the output channels.

    Returns:
        Output (B, O, H, W).
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
    """Filter map n by weight n, and add all maps, into `out` if it is given."""
    total = depthwise(maps[0], weights[0], bias)
    last = len(maps) - 1
    for n in range(1, last + 1):
        term = depthwise(maps[n], weights[n])
        if n == last and out is not None:
            return torch.add(total, term, out=out)
        total += term
    return total if out is None else out.copy_(total)


def depthwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Filter each channel by one kernel, with zero padding that keeps the size."""
    return F.conv2d(x, weight, bias, padding=[weight.shape[2] // 2, weight.shape[3] // 2], groups=x.shape[1])


def mix(rows: list[torch.Tensor], alpha: torch.Tensor) -> list[torch.Tensor]:
    """Return every p_j (B, O, H, W) from all u_i (B, I, H, W), by matrix products over the channels."""
    flat = [as_matrix(u) for u in rows]
    alpha = alpha.to(rows[0].dtype)  # autocast changed the type of the rows, but ignores operations in place
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
    """Return the gradient of every u_i in `mix`, in the shape of `like`."""
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
    """Return the gradient of alpha in `mix`, by one matrix product per basis filter."""
    u, p = [as_matrix(m) for m in rows], [as_matrix(m) for m in mixed_grad]
    return torch.stack([p[j].t() @ u[i] for i, j in basis_orders(len(rows) - 1)])


def as_matrix(x: torch.Tensor) -> torch.Tensor:
    """Reshape (B, C, H, W) to (B * H * W, C), without a copy in the memory format channels_last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def inner_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the inner product of two maps, in the order of the memory."""
    return torch.dot(as_matrix(a).reshape(-1), as_matrix(b).reshape(-1))
