"""Encoder and decoder of all U-Nets, with exchangeable layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import nn

from monai_seunet.networks.layers.sampling import crop_to_size, pad_to_multiple
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.ordinary import ScriptedAsOrdinary
from monai_seunet.networks.unet.parts import ConvNormAct, UNetParts
from monai_seunet.utils.errors import InputError


class UNetSkeleton(ScriptedAsOrdinary, Network):
    """Encoder, bottleneck and decoder with skips.

    Shapes: x (B, C, H, W) -> (B', N, H, W); the parts decide B'; N + 2 channels with directions. Any H and W: the image
    is mirrored equally on both sides up to a multiple of the stride, and the result is cropped. The stride of one
    octave is 2^(levels - 1).

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N.
        widths: number of channels of each level, from fine to coarse; the last level is the bottleneck.
        parts: functions that make the layers.
        decoder_widths: number of channels of each level of the decoder, from fine to coarse; None for `widths`.
        sizes: treatment of images with an odd side, see `Network`.
        directions: True to predict the direction to the centre of the object, too, as two more channels (y, x) after
            the logits. Its length is 1, and shorter near the centre (`transforms.CentreDirections`).

    Raises:
        InputError: `sizes` is unknown, a width is not positive, or a side is odd and `sizes` is `exact`.
        ValueError: the image has another number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        parts: UNetParts,
        decoder_widths: Sequence[int] | None = None,
        sizes: str = "any",
        directions: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, 2 ** (len(widths) - 1), sizes, directions)
        if min(widths) < 1:
            raise InputError(f"width gives {list(widths)} channels; give a width above 0")
        inputs = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            parts.make_stage(inputs[level], width, level, first=level == 0) for level, width in enumerate(widths)
        )
        self.up, self.decoder = nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for level in range(len(widths) - 2, -1, -1):
            width = (decoder_widths or widths)[level]
            self.up.append(parts.make_up(below, width))
            above = width if parts.up_reduces else below
            self.decoder.append(parts.make_stage(widths[level] + above, width, level))
            below = width
        self.pool, self.join = parts.pool(), parts.join()
        self.head = parts.make_head(below, out_channels, directions)

    def features(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Compute features at full resolution, before the head.

        Args:
            xs: images (B, C, H, W), one for each octave; H and W are multiples of 2^(levels - 1).

        Returns:
            One map for each octave; in training, norms have one statistic over all octaves.
        """
        skips: list[list[torch.Tensor]] = []
        for stage in self.encoder:
            if skips:
                xs = [self.pool(x) for x in xs]
            xs = _staged(stage, xs)
            skips.append(xs)
        skips.pop()
        for up, stage in zip(self.up, self.decoder, strict=True):
            xs = _staged(stage, [self.join(above, up(x)) for above, x in zip(skips.pop(), xs, strict=True)])
        return xs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of every pixel."""
        return self.logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, compute the features, classify every pixel and crop."""
        self.check_image(x)
        self._check_sides_of(x)
        height, width = x.shape[-2], x.shape[-1]
        return crop_to_size(self.full_logits(pad_to_multiple(x, self.stride)), height, width)

    def full_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of an image whose H and W are multiples of the stride."""
        return self.head(self.features([x.contiguous(memory_format=torch.channels_last)])[0])


def _staged(stage: nn.Module, xs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Apply a stage; in training, the norms of a stage of plain filters have one statistic over all maps."""
    if len(xs) == 1 or not stage.training:
        return [stage(x) for x in xs]
    for block in cast(Iterable[ConvNormAct], stage):
        xs = block.forward_jointly(xs)
    return xs
