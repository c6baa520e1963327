"""The U-Net skeleton, written once: what a network is made of is handed to it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monai_seunet.networks.layers.sampling import crop_to_size, pad_to_multiple
from monai_seunet.networks.unet.sides import ChecksSides
from monai_seunet.utils.errors import InputError

DIRECTION_CHANNELS = 2  # y and x of the direction to the centre of the object


@dataclass(frozen=True)
class UNetParts:
    """The layers that turn the skeleton into a network.

    Args:
        conv: (in_channels, out_channels, level) -> a filter that keeps the size; level 0 is the finest.
        first_conv: the same for the filter that sees the image; None for `conv`.
        norm: channels -> norm.
        activation: () -> the nonlinearity after each norm.
        depth: filters in a stage.
        stage: (in_channels, out_channels, level, first) -> what a resolution computes, `first` where it sees the image;
            None for `depth` filters, each with norm and nonlinearity.
        pool: () -> halves the resolution.
        pointwise: (in_channels, out_channels) -> a 1 x 1 convolution, for the head, and before the upsampling.
        upsample: () -> doubles the resolution.
        up: (in_channels, out_channels) -> doubles the resolution; None for `pointwise` and then `upsample`: the two
            commute, and in this order the convolution costs a quarter.
        up_reduces: whether `up` changes the number of channels; else the stage after it does.
        join: () -> joins the channels of two maps.
        head: (in_channels, out_channels) -> logits from the last features; None for `pointwise`.
        direction_head: (in_channels) -> directions (y, x) from the last features; None for two more channels of `head`.
    """

    conv: Callable[[int, int, int], nn.Module]
    first_conv: Callable[[int, int, int], nn.Module] | None = None
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d
    activation: Callable[[], nn.Module] = lambda: nn.ReLU(inplace=True)
    depth: int = 2
    stage: Callable[[int, int, int, bool], nn.Module] | None = None
    pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2)
    pointwise: Callable[[int, int], nn.Module] = lambda i, o: nn.Conv2d(i, o, kernel_size=1)
    upsample: Callable[[], nn.Module] = lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    up: Callable[[int, int], nn.Module] | None = None
    up_reduces: bool = True
    join: Callable[[], nn.Module] = lambda: Concat()
    head: Callable[[int, int], nn.Module] | None = None
    direction_head: Callable[[int], nn.Module] | None = None

    def make_stage(self, in_channels: int, out_channels: int, level: int, first: bool = False) -> nn.Module:
        """What one resolution computes, on the way down or up."""
        if self.stage is not None:
            return self.stage(in_channels, out_channels, level, first)
        convs = [self.first_conv if first and self.first_conv else self.conv, *[self.conv] * (self.depth - 1)]
        inputs = [in_channels, *[out_channels] * (self.depth - 1)]
        return nn.Sequential(
            *[
                ConvNormAct(conv(channels, out_channels, level), self.norm(out_channels), self.activation())
                for conv, channels in zip(convs, inputs, strict=True)
            ]
        )

    def make_up(self, in_channels: int, out_channels: int) -> nn.Module:
        """How a coarse map comes to the next finer level."""
        if self.up is not None:
            return self.up(in_channels, out_channels)
        return nn.Sequential(self.pointwise(in_channels, out_channels), self.upsample())

    def make_head(self, in_channels: int, out_channels: int, directions: bool) -> nn.Module:
        """What turns features into logits, and into directions where they are wanted."""
        head = self.head or self.pointwise
        if not directions:
            return head(in_channels, out_channels)
        if self.direction_head is None:
            return head(in_channels, out_channels + DIRECTION_CHANNELS)
        return TwoHeads(head(in_channels, out_channels), self.direction_head(in_channels))


class TwoHeads(nn.Module):
    """Logits of the classes, and directions after them, from the same features."""

    def __init__(self, classes: nn.Module, directions: nn.Module) -> None:
        super().__init__()
        self.classes, self.directions = classes, directions

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Join what the two give."""
        return torch.cat([self.classes(x), self.directions(x)], dim=1)


class Concat(nn.Module):
    """Concatenate two maps by their channels."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Join the two."""
        return torch.cat([a, b], dim=1)


class ConvNormAct(nn.Module):
    """A filter, its norm and the nonlinearity."""

    def __init__(self, conv: nn.Module, norm: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the three in turn."""
        if not torch.jit.is_scripting():
            if self._folds():
                return self._forward_folded(x)
        return self.act(self.norm(self.conv(x)))

    @torch.jit.unused
    def forward_jointly(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Apply the three to maps of several sizes; the norm takes one statistic over all their pixels."""
        ys = [self.conv(x) for x in xs]
        pixels = [y.permute(0, 2, 3, 1).flatten(0, 2) for y in ys]  # (B * H * W, C), no copy in channels_last
        as_image = torch.cat(pixels)[None, :, None].permute(0, 3, 1, 2)  # (1, C, all pixels, 1)
        joint = self.act(self.norm(as_image)).permute(0, 2, 3, 1).flatten(0, 2)
        shapes = [y.permute(0, 2, 3, 1).shape for y in ys]
        parts = joint.split([len(part) for part in pixels])
        return [part.view(shape).permute(0, 3, 1, 2) for part, shape in zip(parts, shapes, strict=True)]

    @torch.jit.unused
    def _folds(self) -> bool:
        """Whether the filter takes the norm in on the way: not where somebody trains, exports or listens in between."""
        if not getattr(self.conv, "folds_on_the_way", False) or torch.is_grad_enabled():
            return False
        parts = (self.conv, self.norm)
        watched = any(part._forward_hooks or part._forward_pre_hooks for part in parts)
        changing = any(part.training for module in parts for part in module.modules())
        return not (watched or changing or torch.compiler.is_exporting() or torch.jit.is_tracing())

    @torch.jit.unused
    def _forward_folded(self, x: torch.Tensor) -> torch.Tensor:
        fold: Callable[[nn.Module], nn.Module] = self.conv.folded  # type: ignore[assignment]
        return self.act(fold(self.norm)(x))

    @torch.jit.unused
    def fold(self) -> None:
        """Put the norm, as in evaluation, into the filter; a filter of ours says itself how."""
        if isinstance(self.norm, nn.Identity):
            return
        folded = getattr(self.conv, "folded", None)
        self.conv = folded(self.norm) if folded else fuse_conv_bn_eval(self.conv, self.norm)  # type: ignore[arg-type,type-var]
        self.norm = nn.Identity()


class UNetSkeleton(ChecksSides):
    """Encoder, bottleneck and decoder with skips.

    Shapes: x (B, C, H, W) -> (B', N, H, W), B' as the parts make it; N + 2 channels with directions. Any H and W: the
    image is mirrored alike on both sides to a multiple of the stride, 2^(levels - 1) of one octave, and the result is
    cropped back.

    Args:
        in_channels: channels of the image.
        out_channels: classes N.
        widths: channels of each level, from fine to coarse; the last one is the bottleneck.
        parts: the layers.
        decoder_widths: channels of each level on the way up, from fine to coarse; None for those on the way down.
        sizes: what becomes of images with an odd side, see `ChecksSides`.
        directions: predict beside the classes the direction to the centre of the object, as two more channels (y, x)
            after the logits: of length 1, and shorter near the centre (`transforms.CentreDirections`).

    Raises:
        InputError: for an unknown `sizes`, or no channels; for an odd side, where `sizes` is `exact`.
        ValueError: where the image has another number of channels.
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
        super().__init__(sizes, stride=2 ** (len(widths) - 1))
        if min(widths) < 1:
            raise InputError(f"width gives {list(widths)} channels; give a width above 0")
        self.in_channels, self.out_channels, self.directions = in_channels, out_channels, directions
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
        """Features at full resolution, before the head.

        Args:
            xs: the image at one or more octaves, (B, C, H, W) each; H and W are multiples of 2^(levels - 1).

        Returns:
            One map for each; in training, norms take their statistics over all of them.
        """
        skips: list[list[torch.Tensor]] = []
        for stage in self.encoder:
            if len(skips) > 0:
                xs = [self.pool(x) for x in xs]
            if not torch.jit.is_scripting():
                xs = _staged(stage, xs)
            else:
                xs = [stage(x) for x in xs]
            skips.append(xs)
        skips.pop()
        for up, stage in zip(self.up, self.decoder):  # noqa: B905 (TorchScript knows no strict)
            above = skips.pop()
            joined: list[torch.Tensor] = []
            for n, x in enumerate(xs):
                joined.append(self.join(above[n], up(x)))
            if not torch.jit.is_scripting():
                xs = _staged(stage, joined)
            else:
                xs = [stage(x) for x in joined]
        return xs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of every pixel."""
        return self.logits(x)

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the classes, unfused; directions after them, where the network has them."""
        return self.logits(x)

    @torch.jit.unused
    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the classes, unfused; with scale groups (B, S, N, H, W), from fine to coarse."""
        return self._of_classes(self.outputs(x))

    @torch.jit.unused
    def all_heads(self, x: torch.Tensor) -> torch.Tensor:
        """As `heads`; all of them, whatever the size of the image."""
        return self._of_classes(self.all_outputs(x))

    def all_outputs(self, x: torch.Tensor) -> torch.Tensor:
        """As `outputs`, of all heads, whatever the size of the image."""
        return self.outputs(x)

    @torch.jit.unused
    def _of_classes(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.narrow(-3, 0, self.out_channels) if self.directions else outputs

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, compute the features, classify every pixel and crop."""
        self.check_image(x)
        if not torch.jit.is_scripting():
            self._check_sides_of(x)
        height, width = x.shape[-2], x.shape[-1]
        return crop_to_size(self.full_logits(pad_to_multiple(x, self.stride)), height, width)

    def check_image(self, x: torch.Tensor) -> None:
        """Refuse what is no batch of images of the network's channels.

        Raises:
            ValueError: for another shape.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"the network takes images (B, {self.in_channels}, H, W) and got shape {list(x.shape)}")

    def full_logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of an image whose H and W are multiples of the stride."""
        logits: torch.Tensor = self.head(self.features([x.contiguous(memory_format=torch.channels_last)])[0])
        return logits

    @torch.jit.unused
    def folded(self) -> UNetSkeleton:
        """A copy for inference, with each norm folded into its filter: the same function, faster."""
        return fold_norms(self)


def _staged(stage: nn.Module, xs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The maps after a stage; in training a stage of plain filters has norms that see all maps together."""
    if len(xs) == 1 or not stage.training:
        return [stage(x) for x in xs]
    for block in cast(Iterable[ConvNormAct], stage):
        xs = block.forward_jointly(xs)
    return xs


Net = TypeVar("Net", bound=nn.Module)


def fold_norms(net: Net) -> Net:
    """A copy of a network in evaluation mode, each norm taken into the filter before it."""
    net = copy.deepcopy(net).eval()
    for module in net.modules():
        if isinstance(module, ConvNormAct):
            module.fold()
    return net.eval()  # the new layers, too
