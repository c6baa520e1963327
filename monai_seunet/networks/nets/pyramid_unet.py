"""The plain U-Net at every octave of the image."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.layers.narrow_norm import NarrowBatchNorm2d
from monai_seunet.networks.scale_unet import ScaleUNet


class PyramidUNet(ScaleUNet):
    """U-Net of ordinary 3 x 3 convolutions on an image pyramid: one network, and one prediction, for all octaves.

    It is the baseline that separates what octaves bring from what Gaussian-derivative filters bring.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per octave; with `fusion`, probabilities
    (B, N, H, W). Any H and W.
    Invariant: octave k + 1 gives for the image what octave k gives for the halved image, doubled, exactly where H and W
    are multiples of twice the stride (in evaluation mode).

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        width: channels of the finest level at every octave; each further level has twice as many.
        num_levels: resolutions of the network at every octave.
        num_octaves: octaves S.
        pooling: `max` or `average`.
        fusion: None, or one of `fusion.STRATEGIES`: return one fused prediction, for deployment.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `ScaleUNet`.

    Raises:
        InputError: for an unknown option.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        num_octaves: int = 4,
        pooling: str = "max",
        fusion: str | None = None,
        finest_octave: int = 0,
        directions: bool = False,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            width * num_octaves,  # the octaves share their weights: each has the full width
            num_levels,
            scales_per_octave=1,
            conv=lambda i, o, level, lifting: nn.Conv2d(i, o, kernel_size=3, padding=1, bias=False),
            pooling=pooling,
            shared_norm=True,
            fusion=fusion,
            options={},
            num_octaves=num_octaves,
            finest_octave=finest_octave,
            parts={"norm": NarrowBatchNorm2d},
            directions=directions,
        )
