"""Fast batch norm of maps with few channels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from monai_seunet.networks.layers.separable import as_matrix

MEAN_SQUARES = 100  # largest ratio of squared mean and variance, at which two digits are lost
LANES = 16  # floats in a vector register; torch does not vectorise over fewer channels


class NarrowBatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`, faster in training for fewer than 16 channels in channels_last on a CPU.

    Shapes: (B, C, H, W) -> (B, C, H, W).
    Invariant: the function of `torch.nn.BatchNorm2d`, whose code runs in all other cases.
    Limits: the variance is the mean square minus the squared mean, which loses digits if the mean of a channel is much
    larger than its deviation. Torch's code runs if it would lose more than two digits.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise every channel."""
        return self._forward_narrow(x) if self._is_narrow(x) else super().forward(x)

    def _is_narrow(self, x: torch.Tensor) -> bool:
        if not self.training or torch.compiler.is_exporting():
            return False
        usual = self.affine and self.track_running_stats and self.momentum is not None
        narrow = x.shape[1] < LANES and x.device.type == "cpu" and x.numel() > x.shape[1]
        return usual and narrow and x.dtype in (torch.float32, torch.float64)

    def _forward_narrow(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        mean, variance = _moments(as_matrix(x.detach()))
        if (mean.square() > MEAN_SQUARES * variance).any():
            return super().forward(x)
        y = _NarrowBatchNorm.apply(x, self.weight, self.bias, mean, variance, self.eps)
        momentum = self.momentum or 0.0
        count = x.numel() // x.shape[1]
        self.get_buffer("num_batches_tracked").add_(1)
        self.get_buffer("running_mean").lerp_(mean, momentum)
        self.get_buffer("running_var").lerp_(variance * (count / (count - 1)), momentum)
        return y


class _NarrowBatchNorm(torch.autograd.Function):
    """Normalise by the statistics of the batch, with vectorised sums over pixels."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        """Normalise x in channels_last by its mean and variance."""
        deviation = (variance + eps).rsqrt()
        scale = weight * deviation
        y = torch.empty_like(x)
        _affine(as_matrix(x), scale, bias - mean * scale, out=as_matrix(y))
        ctx.save_for_backward(x, weight, mean, deviation)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight, mean, deviation = ctx.saved_tensors
        pixels, grad = as_matrix(x), as_matrix(grad.contiguous(memory_format=torch.channels_last))
        grad_bias = _sum(grad)
        grad_weight = (_sum_of_products(grad, pixels) - mean * grad_bias) * deviation
        scale = weight * deviation
        slope = -scale * deviation * grad_weight / len(pixels)
        total = torch.empty_like(x)
        _affine(pixels, slope, -scale * grad_bias / len(pixels) - slope * mean, out=as_matrix(total))
        packed = _pack(as_matrix(total))
        packed.addcmul_(_pack(grad), scale.repeat(packed.shape[1] // len(scale)))
        return total, grad_weight, grad_bias, None, None, None


def _moments(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean and the variance of every channel, (P, C) -> (C,) each."""
    mean = _sum(pixels) / len(pixels)
    return mean, (_sum_of_products(pixels, pixels) / len(pixels) - mean.square()).clamp(min=0)


def _pack(pixels: torch.Tensor) -> torch.Tensor:
    """View (P, C) as (P / n, n * C), so channels of many pixels fill the vector registers."""
    side_by_side = math.gcd(len(pixels), LANES)
    return pixels.view(-1, side_by_side * pixels.shape[1])


def _sum(pixels: torch.Tensor) -> torch.Tensor:
    """Return the sum of every channel, (P, C) -> (C,)."""
    return _pack(pixels).sum(0).view(-1, pixels.shape[1]).sum(0)


def _sum_of_products(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the sum of a * b for every channel, as the diagonal of a matrix product: fast for few channels."""
    return (a.t() @ b).diagonal().clone()


def _affine(pixels: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, out: torch.Tensor) -> None:
    """Scale and offset every channel of (P, C) into `out`."""
    packed = _pack(pixels)
    n = packed.shape[1] // len(scale)
    torch.addcmul(offset.repeat(n), packed, scale.repeat(n), out=_pack(out))
