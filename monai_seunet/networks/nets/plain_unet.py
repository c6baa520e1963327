"""The plain U-Net that the equivariant ones are compared with."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.unet.parts import UNetParts
from monai_seunet.networks.unet.skeleton import UNetSkeleton


class PlainUNet(UNetSkeleton):
    """U-Net of ordinary 3 x 3 convolutions, the baseline of the SEUNet paper.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), with `directions` (B, N + 2, H, W), any H and W.
    Invariant: commutes with shifts by multiples of its total stride, away from the border; with nothing else.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        width: channels of the finest level; each further level has twice as many (60 to 960 in the paper).
        num_levels: resolutions.
        directions: predict the direction to the centre of the object, too, see `UNetSkeleton`.

    References:
        Ronneberger et al., U-Net, 2015; the widths of Yang et al., Scale-Equivariant UNet, 2023, section 4.3.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 2,
        width: int = 60,
        num_levels: int = 5,
        directions: bool = False,
    ) -> None:
        parts = UNetParts(conv=lambda i, o, level: nn.Conv2d(i, o, kernel_size=3, padding=1, bias=False))
        widths = [width * 2**level for level in range(num_levels)]
        super().__init__(in_channels, out_channels, widths, parts, directions=directions)
