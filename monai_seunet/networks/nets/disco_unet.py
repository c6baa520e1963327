"""U-Net of discrete scale convolutions, for comparison with SEUNet."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class DISCOUNet(ScaleUNet):
    """U-Net with DISCO layers: a 3 x 3 filter is dilated to every scale, and scale groups never mix.

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
        scales: scales of the groups, rising from 1 or more, at least one an integer. Integer scales have 9 taps; other
            scales have a fitted basis.
        pooling: `max` or `average`, see `ScaleUNet`.
        shared_norm: True for batch norms that the groups share, as in the official code; False for separate norms.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all groups.

    Raises:
        InputError: the scales do not divide `width`, or an option is unknown.

    References:
        Sosnovik, Moskalev, Smeulders, DISCO: accurate Discrete Scale Convolutions, 2021 (arXiv 2106.02733); as a U-Net:
        Yang et al., Scale-Equivariant UNet for Histopathology Image Segmentation, 2023, section 4.3.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        scales: Sequence[float] = (1, 2, 3, 4, 5),
        pooling: str = "max",
        shared_norm: bool = True,
        fusion: str | None = None,
    ) -> None:
        scales = [float(scale) for scale in scales]

        def conv(inputs: int, outputs: int, level: int, lifting: bool) -> DISCOConv2d:
            return DISCOConv2d(inputs, outputs, scales, lifting)

        options = {"scales": scales}
        super().__init__(
            in_channels, out_channels, width, num_levels, len(scales), conv, pooling, shared_norm, fusion, options
        )
