"""Plain U-Net, for comparison with equivariant networks."""

from __future__ import annotations

from torch import nn

from monai_seunet.networks.unet.parts import UNetParts
from monai_seunet.networks.unet.skeleton import UNetSkeleton


class PlainUNet(UNetSkeleton):
    """U-Net of ordinary 3 x 3 convolutions, the baseline of the SEUNet paper.

    Shapes: x (B, C, H, W) -> logits (B, N, H, W), with `directions` (B, N + 2, H, W), any H and W.
    Invariant: the network commutes only with shifts by multiples of its total stride, away from the border.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N; two for a binary task.
        width: number of channels of the finest level; it doubles from level to level (60 to 960 in the paper).
        num_levels: number of resolutions, with the bottleneck.
        directions: True to predict the direction to the centre of the object, too, see `UNetSkeleton`.

    References:
        Ronneberger et al., U-Net, 2015; the widths of Yang et al., Scale-Equivariant UNet, 2023, section 4.3.

    >>> import torch
    >>> PlainUNet(width=4, num_levels=2)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 2, 8, 8])
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
