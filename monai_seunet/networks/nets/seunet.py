"""Scale-equivariant U-Net."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import Bounds, level_bounds
from monai_seunet.networks.trained_scale_unet import TrainedScaleUNet


class SEUNet(TrainedScaleUNet):
    """Scale-equivariant U-Net: filters are mixtures of Gaussian derivatives at S trainable scales.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). With `directions`, N + 2 channels. Any H and W.
    Invariant: scale groups share their weights and never mix, so a subset of groups gives the same slice of the
    output (in evaluation mode). A zoom of the image moves the prediction from group to group. Halving the image moves
    the prediction by one octave, exactly if H and W are multiples of twice the stride.
    Limits: the zoom equivariance is approximate. It is better with `geometric` ranges and average pooling than with the
    paper's `sigma_ranges="paper"` and `pooling="max"`.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level over all groups; it doubles from level to level.
        num_levels: number of resolutions, with the bottleneck.
        num_octaves: number of octaves of the image; the next octave has the same groups on the halved image.
        scales_per_octave: number of scale groups in an octave; S = num_octaves * scales_per_octave groups have
            width / S channels each.
        order: highest order of the derivatives.
        sigma_mode: `constrained`, `fixed` or `free`.
        sigma_ranges: `paper`, `geometric`, or one list of (lower, upper) per level, in pixels of that level, for the
            groups of one octave. `geometric` ranges of all octaves are one series; the ratio from group to group in a
            single octave is sqrt(2).
        truncation: radius of the kernels in units of sigma.
        pooling: `max` as in the paper, or `average`, see `ScaleUNet`.
        shared_norm: True for batch norms that the groups share; False for separate norms.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all groups.
        recompute: True for less memory and more time in training.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `ScaleUNet`.
        directions: True to predict the direction to the centre of the object, too, see `UNetSkeleton`.

    Raises:
        InputError: the groups do not divide `width`, or an option is unknown.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023 (arXiv 2304.04595).

    >>> import torch
    >>> SEUNet(width=4, num_levels=2, scales_per_octave=2)(torch.zeros(1, 3, 16, 16)).shape
    torch.Size([1, 2, 2, 16, 16])
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        num_octaves: int = 1,
        scales_per_octave: int = 5,
        order: int = 1,
        sigma_mode: str = "constrained",
        sigma_ranges: str | Sequence[Bounds] = "geometric",
        truncation: float = 2.0,
        pooling: str = "average",
        shared_norm: bool = True,
        fusion: str | None = None,
        recompute: bool = False,
        finest_octave: int = 0,
        directions: bool = False,
    ) -> None:
        bounds = level_bounds(sigma_ranges, num_levels, scales_per_octave, num_octaves)

        def conv(inputs: int, outputs: int, level: int, lifting: bool) -> ScaleConv2d:
            return ScaleConv2d(inputs, outputs, bounds[level], order, sigma_mode, truncation, lifting, recompute)

        options = {"order": order, "sigma_mode": sigma_mode, "truncation": truncation}
        super().__init__(
            in_channels,
            out_channels,
            width,
            num_levels,
            scales_per_octave=scales_per_octave,
            conv=conv,
            pooling=pooling,
            shared_norm=shared_norm,
            fusion=fusion,
            options=options,
            num_octaves=num_octaves,
            finest_octave=finest_octave,
            directions=directions,
        )
        self.sigma_series = sigma_ranges if isinstance(sigma_ranges, str) else "own"
