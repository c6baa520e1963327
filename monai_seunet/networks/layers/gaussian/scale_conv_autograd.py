"""Scale convolution with an explicit gradient, group by group."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from monai_seunet.networks.layers.gaussian.kernels import gaussian_derivative_kernels, gaussian_derivative_kernels_grad
from monai_seunet.networks.layers.separable import (
    depthwise,
    depthwise_weights,
    filter_sum,
    inner_product,
    mix,
    mix_weight_grad,
    unmix,
)


class ScaleConvFunction(torch.autograd.Function):
    """Filter of all scale groups, with explicit gradients of x, alpha and sigma.

    The gradient of a depthwise weight is many times slower than its forward pass on a CPU, and it is not needed. The
    gradient of sigma is one inner product per pass with the derivative of the kernels by sigma, and alpha needs one
    matrix product per basis filter. `recompute` stores only x for the backward pass. Temporaries have the size of one
    group.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        radii: list[int],
        truncation: float,
        order: int,
        lifting: bool,
        recompute: bool,
    ) -> torch.Tensor:
        """Filter x (S * B, I, H, W), or (B, I, H, W) if `lifting`, at the scales sigma (S,)."""
        kernels = gaussian_derivative_kernels(sigma, order, max(radii), truncation).to(x.dtype)
        batch = x.shape[0] if lifting else x.shape[0] // len(radii)
        shape = (len(radii) * batch, alpha.shape[1], *x.shape[2:])
        y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        kept: list[torch.Tensor] = []
        for k, radius in enumerate(radii):
            group = x if lifting else x[k * batch : (k + 1) * batch]
            kernel = _crop(kernels[:, k], radius)
            rows = [depthwise(group, weight) for weight in depthwise_weights(kernel, x.shape[1], columns=False)]
            mixed = mix(rows, alpha)
            filter_sum(mixed, depthwise_weights(kernel, y.shape[1], columns=True), out=y[k * batch : (k + 1) * batch])
            if not recompute:
                kept += [*rows, *mixed]
        ctx.save_for_backward(x, alpha, sigma, kernels, *kept)
        ctx.radii, ctx.truncation, ctx.lifting = radii, truncation, lifting
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, alpha and sigma."""
        x, alpha, sigma, kernels, *kept = ctx.saved_tensors
        needs_x, _, needs_sigma = ctx.needs_input_grad[:3]
        size, scales = len(kernels), len(ctx.radii)
        slopes = None
        if needs_sigma:
            slopes = gaussian_derivative_kernels_grad(sigma, size - 1, max(ctx.radii), ctx.truncation).to(x.dtype)
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = torch.empty_like(x, memory_format=torch.channels_last) if needs_x and not ctx.lifting else None
        lifted = torch.zeros_like(x) if needs_x and ctx.lifting else None
        wide = torch.promote_types(x.dtype, torch.float32)
        grad_alpha, grad_sigma = torch.zeros_like(alpha, dtype=wide), torch.zeros_like(sigma)
        batch = grad.shape[0] // scales
        for k, radius in enumerate(ctx.radii):
            group = slice(k * batch, (k + 1) * batch)
            result = group_backward(
                x if ctx.lifting else x[group],
                alpha,
                grad[group],
                _crop(kernels[:, k], radius),
                None if slopes is None else _crop(slopes[:, k], radius),
                kept[2 * size * k : 2 * size * (k + 1)],
                needs_x,
                None if grad_x is None else grad_x[group],
            )
            grad_alpha += result[0]
            if needs_sigma:
                grad_sigma[k] = result[1]
            if lifted is not None and result[2] is not None:
                lifted += result[2]
        return grad_x if lifted is None else lifted, grad_alpha.to(alpha.dtype), grad_sigma, *[None] * 5


def group_backward(
    x: torch.Tensor,
    alpha: torch.Tensor,
    grad: torch.Tensor,
    kernel: torch.Tensor,
    slope: torch.Tensor | None,
    kept: list[torch.Tensor],
    needs_x: bool,
    out: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor | float, torch.Tensor | None]:
    """Return the gradients of alpha, of the group's sigma if `slope` is given, and of its x if `needs_x`."""
    size, inputs, outputs = len(kernel), x.shape[1], grad.shape[1]
    adjoint = kernel.clone()
    adjoint[1::2].neg_()  # a kernel of odd order is odd: flipping it changes its sign
    rows = kept[:size] or [depthwise(x, weight) for weight in depthwise_weights(kernel, inputs, columns=False)]
    grad_sigma: torch.Tensor | float = 0.0
    if slope is not None:
        mixed = kept[size:] or mix(rows, alpha)
        for p, weight in zip(mixed, depthwise_weights(slope, outputs, columns=True), strict=True):
            grad_sigma = grad_sigma + inner_product(grad, depthwise(p, weight))
        del mixed
    mixed_grad = [depthwise(grad, weight) for weight in depthwise_weights(adjoint, outputs, columns=True)]
    grad_alpha = mix_weight_grad(rows, mixed_grad)
    if slope is None and not needs_x:
        return grad_alpha, grad_sigma, None
    del rows
    rows_grad = unmix(mixed_grad, alpha, x)
    del mixed_grad
    if slope is not None:
        for u, weight in zip(rows_grad, depthwise_weights(slope, inputs, columns=False), strict=True):
            grad_sigma = grad_sigma + inner_product(u, depthwise(x, weight))
    grad_x = filter_sum(rows_grad, depthwise_weights(adjoint, inputs, columns=False), out=out) if needs_x else None
    return grad_alpha, grad_sigma, grad_x


def _crop(kernels: torch.Tensor, radius: int) -> torch.Tensor:
    """Crop kernels (N + 1, taps) to the taps of one group."""
    middle = kernels.shape[-1] // 2
    return kernels[:, middle - radius : middle + radius + 1]
