"""U-Net of scale-equivariant steerable convolutions, for comparison with SEUNet."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.discrete.sesn import SESNConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class SESNUNet(ScaleUNet):
    """U-Net with SESN layers: filters are mixtures of Hermite functions at fixed scales, and scale groups never mix.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per scale group; with `fusion`, probabilities
    (B, N, H, W). Any H and W.
    Invariant: a scale group does not depend on the others (in evaluation mode). A zoom of the image moves the
    prediction from group to group.
    Limits: the zoom equivariance is approximate. Every level has the same scales in pixels of the level.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level over all groups; it doubles from level to level.
        num_levels: number of resolutions, with the bottleneck.
        scales: scales of the groups, rising, in pixels of each level.
        order: highest total order of the Hermite polynomials.
        kernel_size: number of taps at the largest scale.
        pooling: `max` or `average`, see `ScaleUNet`.
        shared_norm: True for batch norms that the groups share, as in the official code; False for separate norms.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all groups.

    Raises:
        InputError: the scales do not divide `width`, or an option is unknown.

    References:
        Sosnovik, Szmaja, Smeulders, Scale-Equivariant Steerable Networks, 2020 (arXiv 1910.11093); as a U-Net: Yang et
        al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 4.3.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        scales: Sequence[float] = (1, 2, 3, 4, 5),
        order: int = 4,
        kernel_size: int = 11,
        pooling: str = "max",
        shared_norm: bool = True,
        fusion: str | None = None,
    ) -> None:
        scales = [float(scale) for scale in scales]

        def conv(inputs: int, outputs: int, level: int, lifting: bool) -> SESNConv2d:
            return SESNConv2d(inputs, outputs, scales, order, kernel_size, lifting)

        options = {"scales": scales, "order": order, "kernel_size": kernel_size}
        super().__init__(
            in_channels, out_channels, width, num_levels, len(scales), conv, pooling, shared_norm, fusion, options
        )
