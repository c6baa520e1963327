"""U-Net of discrete scale convolutions, for comparison with SEUNet."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.networks.layers.discrete.disco import DISCOConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class DISCOUNet(ScaleUNet):
    """U-Net with DISCO layers: a 3 x 3 filter is dilated to every scale, and scale groups never mix.

    Shapes and invariant: see `ScaleUNet`. A zoom of the image moves the prediction from group to group.
    Limits: the zoom equivariance is approximate. Every level has the same scales in pixels of the level.

    Args:
        scales: scales of the groups, rising from 1 or more, at least one an integer. Integer scales have 9 taps; other
            scales have a fitted basis.

    The other arguments are those of `ScaleUNet`. By default, the groups share their norms, as in the official code.

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
