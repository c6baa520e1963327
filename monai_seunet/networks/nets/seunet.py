"""The scale-equivariant U-Net."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import Bounds, level_bounds
from monai_seunet.networks.trained_scale_unet import TrainedScaleUNet


class SEUNet(TrainedScaleUNet):
    """Scale-equivariant U-Net: filters are mixtures of Gaussian derivatives at S trainable scales that never mix.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). With `directions`, N + 2 channels. Any H and W.
    Invariant: each group is a network of its own with the weights of the others and other sigmas, so that any subset of
    groups gives the same slice of the full output (in evaluation mode). Zooming the image moves the prediction from
    group to group; halving it moves the prediction by one octave, exactly where H and W are multiples of twice the
    stride.
    Limits: the zoom equivariance is approximate. The paper's network has `sigma_ranges="paper"`, `pooling="max"`;
    `geometric` ranges, whose ratio is the same in every layer, and average pooling bring it closer.

    Args:
        in_channels: channels of the image.
        out_channels: classes N; two for a binary task.
        width: channels of the finest level over all groups; each further level has twice as many.
        num_levels: resolutions.
        num_octaves: octaves of the image; the groups of each are those of the octave before, on the halved image.
        scales_per_octave: scale groups at every octave; S = num_octaves * scales_per_octave groups have width / S
            channels each.
        order: highest order of derivative.
        sigma_mode: `constrained`, `fixed` or `free`.
        sigma_ranges: `paper`, `geometric`, or one list of (lower, upper) per level, in pixels of that level, for the
            groups of one octave. `geometric` ranges fill an octave, so that the groups of all octaves are one series;
            a single octave has the ratio sqrt(2) from group to group.
        truncation: radius of the kernels in units of sigma.
        pooling: `max` as in the paper, or `average`, which commutes with zoom far better: the maximum over two pixels
            grows with the detail between them.
        shared_norm: batch norm with statistics and affine shared by the groups; else separate for each.
        fusion: None, or one of `fusion.STRATEGIES`: return one fused prediction, for deployment.
        recompute: less memory in training for more time.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `ScaleUNet`.
        directions: predict the direction to the centre of the object, too, see `UNetSkeleton`.

    Raises:
        InputError: where the groups do not divide `width`, or for an unknown option.

    References:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023 (arXiv 2304.04595).
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
