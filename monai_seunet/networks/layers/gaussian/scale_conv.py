"""Convolution by learned mixtures of Gaussian derivatives, with one trainable scale per scale group.

Scale groups never exchange data, so the map of S groups is a batch of S * B ordinary maps, group by group:
(S * B, C, H, W). Pooling, interpolation, concatenation, 1 x 1 convolutions and shared batch norms are then plain
operations. The size of the kernels depends on the group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.networks.layers.gaussian.kernels import gaussian_derivative_kernels
from monai_seunet.networks.layers.gaussian.scale_conv_autograd import ScaleConvFunction
from monai_seunet.networks.layers.gaussian.sigma import Bounds, ScaleParameter
from monai_seunet.networks.layers.recording import is_recorded
from monai_seunet.networks.layers.scale_groups import ScaleGroupConv, norm_affine
from monai_seunet.networks.layers.separable import basis_orders, separable_conv
from monai_seunet.utils.parsing import parse_bool


class ScaleConv2d(ScaleGroupConv):
    r"""Convolution by $F_k = \sum_{i+j \le N} \alpha_{ij} G^{ij}(\sigma_k)$ for scale group k, with shared alpha.

    Shapes: see `ScaleGroupConv`.
    Invariant: see `ScaleGroupConv`. A zoom of the input by s turns the filters of a group into the filters of the group
    with s times its sigma.
    Limits: the layer equals the dense filter bank (`forward_dense`), and commutes with zoom approximately. Sampled
    derivatives vanish below sigma 0.4. At sigma 1, the equivariance error is 2 to 6 % with a truncation of two sigma,
    and 0.1 to 0.4 % with four sigma.

    Args:
        in_channels: number of channels I of one group, or of the image if `lifting`.
        out_channels: number of channels O of one group.
        bounds: range (lower, upper) of every group's sigma, in pixels.
        order: highest total order N of the derivatives, 0 or more.
        sigma_mode: `constrained`, `fixed` or `free`.
        truncation: radius of the kernels in units of sigma.
        lifting: True if every group has the same input, as in the first layer of a network.
        recompute: True to store only the input for the backward pass: less memory, more time.

    Raises:
        InputError: the mode is unknown, or bounds overlap.
        ValueError: the order is negative.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.1.

    >>> ScaleConv2d(3, 4, bounds=[(0.5, 1.0), (1.0, 2.0)], lifting=True)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([2, 4, 8, 8])
    """

    folds_on_the_way = True  # a norm that is folded into the filter on each evaluation is faster than the norm itself

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bounds: Bounds,
        order: int = 1,
        sigma_mode: str = "constrained",
        truncation: float = 2.0,
        lifting: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__(len(bounds), lifting)
        if order < 0:
            raise ValueError(f"order is {order}; the derivatives have order 0 or more")
        self.order = order
        self.truncation = truncation
        self.recompute = parse_bool(recompute)
        self.sigma = ScaleParameter(bounds, sigma_mode)
        self.alpha = nn.Parameter(torch.empty(len(basis_orders(order)), out_channels, in_channels))
        self.reset_parameters()
        self.export_radii: list[int] = []

    def train(self, mode: bool = True) -> ScaleConv2d:
        """Set the mode; an exported graph has the kernel sizes of the last call to `eval`."""
        super().train(mode)
        if not mode:
            self.export_radii = self.sigma.radii(self.truncation)
        return self

    def reset_parameters(self) -> None:
        """Draw alpha; a sum over channels and basis filters keeps its variance through a ReLU."""
        nn.init.normal_(self.alpha, std=math.sqrt(2.0 / (self.alpha.shape[0] * self.alpha.shape[2])))

    def mixing(self) -> torch.Tensor:
        """Return the weights of the basis filters, (number of filters, O, I)."""
        return self.alpha

    def kernels(self) -> list[torch.Tensor]:
        """Return the 1-D kernels of every group at the present scales: S tensors (order + 1, taps of the group)."""
        radii = self.export_radii if is_recorded() else self.sigma.radii(self.truncation)
        return [
            gaussian_derivative_kernels(s, self.order, radius, self.truncation)[:, 0]
            for s, radius in zip(self.sigma().split(1), radii, strict=True)
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group by rows, mix and columns."""
        groups = self.groups(x)
        if not is_recorded():
            return self._differentiable(x)
        kernels, alpha = self.kernels(), self.mixing()
        return torch.cat([separable_conv(groups[k], alpha, kernels[k].to(x.dtype)) for k in range(self.num_scales)])

    def _differentiable(self, x: torch.Tensor) -> torch.Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        sigma, radii = self.sigma(), self.sigma.radii(self.truncation)
        recompute = self.recompute or not torch.is_grad_enabled()
        with torch.autocast(device, enabled=False):
            x, alpha = x.to(dtype), self.mixing().to(dtype)
            return ScaleConvFunction.apply(x, alpha, sigma, radii, self.truncation, self.order, self.lifting, recompute)

    def dense_filters(self) -> list[torch.Tensor]:
        """See `ScaleGroupConv`."""
        filters = []
        for kernel in self.kernels():
            basis = torch.stack([torch.outer(kernel[j], kernel[i]) for i, j in basis_orders(self.order)])
            filters.append(torch.einsum("noi,nyx->oiyx", self.mixing(), basis))
        return filters

    def subset(self, groups: Sequence[int]) -> ScaleConv2d:
        """See `ScaleGroupConv`."""
        self.sigma.subset(groups)
        self.num_scales = len(groups)
        return self.train(self.training)

    def folded(self, norm: nn.Module) -> FoldedScaleConv2d:
        """See `ScaleGroupConv`."""
        return FoldedScaleConv2d(self, *norm_affine(norm))

    def extra_repr(self) -> str:
        """Return channels, order and form."""
        _, out_channels, in_channels = self.alpha.shape
        form = ", lifting" if self.lifting else ""
        return f"{in_channels}, {out_channels}, order={self.order}, truncation={self.truncation}{form}"


class FoldedScaleConv2d(nn.Module):
    """A `ScaleConv2d` for inference, with constant kernels and the folded norm after it.

    Invariant: equal to the layer and its norm in evaluation mode up to rounding.

    Args:
        conv: layer of the network.
        scale: factor of the folded norm, one row per scale group or one for all, (S or 1, O).
        bias: offset of the folded norm, of the same shape.
    """

    def __init__(self, conv: ScaleConv2d, scale: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.num_scales, self.lifting = conv.num_scales, conv.lifting
        with torch.no_grad():
            alpha = conv.mixing() * scale[:, None, :, None]
            self.alpha: torch.Tensor = nn.Buffer(alpha.expand(self.num_scales, -1, -1, -1).clone())
            self.bias: torch.Tensor = nn.Buffer(bias.expand(self.num_scales, -1).clone())
            # one buffer holds all groups; zeros pad groups with few taps, and `forward` crops them by their radius
            self.radii = conv.sigma.radii(conv.truncation)
            widest = max(self.radii)
            padded = [F.pad(k, [widest - r, widest - r]) for k, r in zip(conv.kernels(), self.radii, strict=True)]
        self.kernels: torch.Tensor = nn.Buffer(torch.stack(padded))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group."""
        groups = [x] * self.num_scales if self.lifting else list(x.chunk(self.num_scales))
        widest = self.kernels.shape[-1] // 2
        outputs: list[torch.Tensor] = []
        for k in range(self.num_scales):
            kernels = self.kernels[k, :, widest - self.radii[k] : widest + self.radii[k] + 1]
            outputs.append(separable_conv(groups[k], self.alpha[k], kernels, self.bias[k]))
        return torch.cat(outputs)

    def subset(self, groups: Sequence[int]) -> None:
        """Keep only the given scale groups, in place."""
        self.num_scales = len(groups)
        self.radii = [self.radii[k] for k in groups]
        self.alpha, self.bias, self.kernels = (x[list(groups)] for x in (self.alpha, self.bias, self.kernels))
