"""Convolution by learned mixtures of Gaussian derivatives, with one trainable scale per scale group.

Scale groups never exchange data, so that a feature map of S groups travels as a batch of S * B ordinary maps, group by
group: (S * B, C, H, W). Pooling, interpolation, concatenation, 1 x 1 convolutions and a batch norm shared by the
groups are then the plain operations, and each group is filtered with kernels of its own size.
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
    r"""Convolution by $F_k = \sum_{i+j \le N} \alpha_{ij} G^{ij}(\sigma_k)$, one filter per scale group, alpha shared.

    Shapes: x (S * B, I, H, W), or (B, I, H, W) where `lifting`, -> (S * B, O, H, W); the groups are outermost.
    Invariant: group k of the output depends on group k of the input alone, by the same alpha for all k. Away from the
    border it commutes with shifts. Zooming the input by s turns the filters of one group into those of another where
    the ratio of their sigmas is s.
    Limits: equals the dense filter bank (`forward_dense`) exactly; commutes with zoom approximately. Below sigma 0.4
    the sampled derivatives vanish. At sigma 1 the truncation at two sigma costs 2 to 6 % of equivariance error, that
    at four sigma 0.1 to 0.4 %.

    Args:
        in_channels: channels of one group, or of the image where `lifting`.
        out_channels: channels of one group.
        bounds: range (lower, upper) of every group's sigma, in pixels.
        order: highest total order N of the derivatives, 0 or more.
        sigma_mode: `constrained`, `fixed` or `free`.
        truncation: radius of the kernels in units of sigma.
        lifting: every group sees the whole input, as in the first layer of a network.
        recompute: keep the input alone for the backward pass: less memory, more time.

    Raises:
        InputError: for an unknown mode or bounds that overlap.
        ValueError: for a negative order, or a batch that the groups do not divide.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 3.1.
    """

    folds_on_the_way = True  # the norm after it costs less in the filter, in every evaluation

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
        self.export_radii: list[int] = []
        self.reset_parameters()

    def train(self, mode: bool = True) -> ScaleConv2d:
        """Set the mode; an exported graph has the kernel sizes of the last call of `eval`."""
        super().train(mode)
        if not mode:
            self.export_radii = self.sigma.radii(self.truncation)
        return self

    def reset_parameters(self) -> None:
        """Draw alpha so that a sum over channels and basis filters keeps its variance through a ReLU."""
        nn.init.normal_(self.alpha, std=math.sqrt(2.0 / (self.alpha.shape[0] * self.alpha.shape[2])))

    def mixing(self) -> torch.Tensor:
        """The weights of the basis filters, (number of them, O, I)."""
        return self.alpha

    def kernels(self) -> list[torch.Tensor]:
        """The 1-D kernels of every group at the scales of now: S tensors (order + 1, taps of the group)."""
        sigma, radii = self.sigma(), self._radii()
        kernels: list[torch.Tensor] = []
        for k in range(self.num_scales):
            one = gaussian_derivative_kernels(sigma[k : k + 1], self.order, radii[k], self.truncation)
            kernels.append(one[:, 0])
        return kernels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter every scale group by rows, mix and columns."""
        groups = self.groups(x)
        if not is_recorded():
            return self._differentiable(x)
        kernels, alpha = self.kernels(), self.mixing()
        return torch.cat([separable_conv(groups[k], alpha, kernels[k].to(x.dtype)) for k in range(self.num_scales)])

    def _radii(self) -> list[int]:
        return self.export_radii if is_recorded() else self.sigma.radii(self.truncation)

    def _differentiable(self, x: torch.Tensor) -> torch.Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        sigma, radii = self.sigma(), self.sigma.radii(self.truncation)
        recompute = self.recompute or not torch.is_grad_enabled()
        with torch.autocast(device, enabled=False):
            x, alpha = x.to(dtype), self.mixing().to(dtype)
            return ScaleConvFunction.apply(x, alpha, sigma, radii, self.truncation, self.order, self.lifting, recompute)

    def dense_filters(self) -> list[torch.Tensor]:
        """The filters as ordinary convolution weights: S tensors (O, I, taps, taps), differentiable."""
        filters = []
        for kernel in self.kernels():
            basis = torch.stack([torch.outer(kernel[j], kernel[i]) for i, j in basis_orders(self.order)])
            filters.append(torch.einsum("noi,nyx->oiyx", self.mixing(), basis))
        return filters

    def subset(self, groups: Sequence[int]) -> ScaleConv2d:
        """The layer reduced, in place, to the given scale groups."""
        self.sigma.subset(groups)
        self.num_scales = len(groups)
        return self.train(self.training)

    def folded(self, norm: nn.Module) -> FoldedScaleConv2d:
        """The layer for inference, with the norm that follows it."""
        return FoldedScaleConv2d(self, *norm_affine(norm))

    def extra_repr(self) -> str:
        """Channels, order and form."""
        _, out_channels, in_channels = self.alpha.shape
        form = ", lifting" if self.lifting else ""
        return f"{in_channels}, {out_channels}, order={self.order}, truncation={self.truncation}{form}"


class FoldedScaleConv2d(nn.Module):
    """A `ScaleConv2d` for inference: kernels evaluated once, the batch norm that follows folded in.

    Shapes and law as for `ScaleConv2d`; equal to it and its norm in evaluation mode up to rounding.

    Args:
        conv: the layer.
        scale: factor of the folded norm, one row per scale group or one for all, (S or 1, O).
        bias: offset of the folded norm, of the same shape.
    """

    def __init__(self, conv: ScaleConv2d, scale: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.num_scales, self.lifting = conv.num_scales, conv.lifting
        self.alpha: torch.Tensor
        self.bias: torch.Tensor
        with torch.no_grad():
            alpha = conv.mixing() * scale[:, None, :, None]
            self.register_buffer("alpha", alpha.expand(self.num_scales, -1, -1, -1).clone())
            self.register_buffer("bias", bias.expand(self.num_scales, -1).clone())
            # one buffer for all groups: groups with few taps end in zeros on both sides and are cut by their radius
            self.radii = conv.sigma.radii(conv.truncation)
            widest = max(self.radii)
            padded = [F.pad(k, [widest - r, widest - r]) for k, r in zip(conv.kernels(), self.radii, strict=True)]
        self.kernels: torch.Tensor
        self.register_buffer("kernels", torch.stack(padded))

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
        """Keep the given scale groups only, in place."""
        self.num_scales = len(groups)
        self.radii = [self.radii[k] for k in groups]
        self.alpha, self.bias, self.kernels = (x[list(groups)] for x in (self.alpha, self.bias, self.kernels))
