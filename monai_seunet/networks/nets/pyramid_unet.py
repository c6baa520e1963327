"""Plain U-Net on every octave of the image."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.layers.narrow_norm import NarrowBatchNorm2d
from monai_seunet.networks.scale_unet import ScaleUNet


class PyramidUNet(ScaleUNet):
    """U-Net of ordinary 3 x 3 convolutions on an image pyramid: one network that predicts every octave.

    This baseline separates the effect of octaves from the effect of Gaussian-derivative filters.

    Shapes: x (B, C, H, W) -> logits (B, S, N, H, W), one prediction per octave; with `fusion`, probabilities
    (B, N, H, W). With `directions`, N + 2 channels. Any H and W.
    Invariant: the output of octave k + 1 equals the doubled output of octave k for the halved image, exactly if H and W
    are multiples of twice the stride (in evaluation mode).

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level at every octave; it doubles from level to level.
        num_levels: number of resolutions of the network at every octave, with the bottleneck.
        num_octaves: number of octaves S.
        pooling: `max` or `average`, see `ScaleUNet`.
        fusion: one of `fusion.STRATEGIES` for one fused prediction; None for the logits of all octaves.
        finest_octave: 0 for the image itself, -1 for the doubled image, see `ScaleUNet`.
        directions: True to predict the direction to the centre of the object, too, see `UNetSkeleton`.

    Raises:
        InputError: an option is unknown.
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
            width * num_octaves,  # every octave has the full width, because octaves share their weights
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
