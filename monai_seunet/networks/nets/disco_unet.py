"""The U-Net of discrete scale convolutions that SEUNet is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class DISCOUNet(ScaleUNet):
    """U-Net with DISCO layers: one 3 x 3 filter, dilated to every scale, whose groups never mix.

    Shapes and law as for `ScaleUNet`: x (B, C, H, W) -> logits (B, S, N, H, W). Zooming the image moves the prediction
    from group to group.
    Limits: the zoom equivariance is approximate. Every level has the same scales, in its own pixels.

    Args:
        in_channels: channels of the image.
        out_channels: classes N; two for a binary task.
        width: channels of the finest level over all groups; each further level has twice as many.
        num_levels: resolutions.
        scales: of the groups, rising from 1 or more. Whole ones take 9 taps; for others a basis is fitted, at least
            one has to be whole.
        pooling: `max` or `average`.
        shared_norm: batch norm with statistics and affine shared by the groups, as the BatchNorm3d of the official
            code; else separate for each.
        fusion: None, or one of `fusion.STRATEGIES`: return one fused prediction, for deployment.

    Raises:
        InputError: where the scales do not divide `width`, or for an unknown option.

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

        super().__init__(
            in_channels,
            out_channels,
            width,
            num_levels,
            len(scales),
            conv,
            pooling,
            shared_norm,
            fusion,
            {"scales": scales},
        )
