"""Plans for the training by the native library: layers of a U-Net with scale groups, and buffers of their maps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from typing import cast

import torch
from torch import nn

from monai_seunet.native import library as native
from monai_seunet.networks.compiled.supported import blocks_of, is_native, is_pointwise
from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.layers.gaussian.sigma import ScaleParameter, joint_scales
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.unet.parts import ConvNormAct
from monai_seunet.networks.unet.skeleton import UNetSkeleton

PLAIN, NORMED, POOLED = range(3)  # operation on the source of a layer; a coarse map is doubled


@dataclass
class Layer:
    """A layer of the network, and the numbers of the maps and gradients that it reads and writes."""

    kind: int
    module: nn.Module
    source: int
    reading: int
    target: int
    coarse: int = -1
    source_gradient: int = -1
    source_adds: bool = False
    coarse_gradient: int = -1
    target_gradient: int = -1


@dataclass
class TrainingPlan:
    """The layers of a network in training, and memory for all steps.

    Args:
        net: network that `native_training` accepts.

    Attributes:
        levels: number of resolutions.
        classes: number of channels of the logits.
        layers: layers in the order of their computation.
        maps: channels and level of each map.
        gradients: channels and level of each buffer of a gradient.
        convs: blocks of a scale convolution and its norm.
        memory: free memory of earlier steps, which later steps use again.
    """

    net: InitVar[UNetSkeleton]
    levels: int = 0
    classes: int = 0
    layers: list[Layer] = field(default_factory=list)
    maps: list[tuple[int, int]] = field(default_factory=list)
    gradients: list[tuple[int, int]] = field(default_factory=list)
    convs: list[ConvNormAct] = field(default_factory=list)
    memory: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self, net: UNetSkeleton) -> None:
        """List the layers in the order of `UNetSkeleton.features`, then assign a buffer to every gradient."""
        self.levels, self.classes = len(net.encoder), cast(nn.Conv2d, net.head).out_channels
        at, reading, skips = self._map(net.in_channels, 0), PLAIN, []
        for level, stage in enumerate(net.encoder):
            for block in blocks_of(stage):
                at, reading = self._conv(block, at, reading, -1, level), NORMED
            skips.append(at)
            reading = POOLED
        skips.pop()
        for up, stage in zip(net.up, net.decoder, strict=True):
            level = len(skips) - 1
            pointwise = cast(nn.Conv2d, cast(nn.Sequential, up)[0])
            coarse = self._map(pointwise.out_channels, level + 1)
            self.layers.append(Layer(native.POINTWISE, pointwise, at, NORMED, coarse))
            at = skips.pop()
            for block in blocks_of(stage):
                at, coarse = self._conv(block, at, NORMED, coarse, level), -1
        self.layers.append(Layer(native.HEAD, net.head, at, NORMED, -1))
        self._place_gradients()

    def _map(self, channels: int, level: int) -> int:
        self.maps.append((channels, level))
        return len(self.maps) - 1

    def _conv(self, block: ConvNormAct, source: int, reading: int, coarse: int, level: int) -> int:
        target = self._map(_conv_of(block).mixing().shape[1], level)
        self.layers.append(Layer(native.SCALE_CONV, block, source, reading, target, coarse))
        self.convs.append(block)
        return target

    def _place_gradients(self) -> None:
        """Assign buffers to gradients from the last layer to the first; a buffer that is free is used again."""
        free: dict[tuple[int, int], list[int]] = {}
        placed: dict[int, int] = {}  # map -> gradient

        def place(shape: tuple[int, int]) -> int:
            if free.get(shape):
                return free[shape].pop()
            self.gradients.append(shape)
            return len(self.gradients) - 1

        def release(number: int) -> None:
            free.setdefault(self.gradients[number], []).append(number)

        for layer in reversed(self.layers):
            if layer.target >= 0:
                layer.target_gradient = placed.pop(layer.target)
            if layer.source > 0:
                layer.source_adds = layer.source in placed
                if not layer.source_adds:
                    placed[layer.source] = place(self.maps[layer.source])
                layer.source_gradient = placed[layer.source]
            if layer.coarse >= 0:  # the gradient of the doubled map; the layer before computes the coarse one from it
                channels, level = self.maps[layer.coarse]
                layer.coarse_gradient = placed[layer.coarse] = place((channels, level - 1))
            if layer.target_gradient >= 0:
                release(layer.target_gradient)

    @property
    def scale_convs(self) -> list[Layer]:
        """Layers of scale convolutions."""
        return [layer for layer in self.layers if layer.kind == native.SCALE_CONV]

    @property
    def truncation(self) -> float:
        """Truncation of all kernels, in units of sigma."""
        return _conv_of(self.convs[0]).truncation

    def widest(self, sigma: torch.Tensor) -> int:
        """Return the largest radius of a kernel in pixels."""
        return math.ceil(float(sigma.detach().max()) * self.truncation)

    def fewest_values(self, images: list[torch.Tensor]) -> int:
        """Return the number of values of a channel in a norm of the coarsest maps."""
        pixels = sum(x.shape[0] * x.shape[2] * x.shape[3] for x in images) // 4 ** (self.levels - 1)
        return pixels * _conv_of(self.convs[0]).num_scales // len(norms_of(self.convs[0]))

    def parameters(self) -> Iterator[torch.Tensor]:
        """Yield the trained tensors: the sigmas (layers, S) of all convolutions, and then those of each layer."""
        yield joint_scales([_conv_of(block).sigma for block in self.convs])
        for layer in self.layers:
            if layer.kind == native.SCALE_CONV:
                norms = norms_of(layer.module)
                yield _conv_of(layer.module).mixing()
                yield norms[0].weight if len(norms) == 1 else torch.stack([norm.weight for norm in norms])
                yield norms[0].bias if len(norms) == 1 else torch.stack([norm.bias for norm in norms])
            else:
                yield cast(torch.Tensor, layer.module.weight)
                yield cast(torch.Tensor, layer.module.bias)


def is_trainable(net: UNetSkeleton) -> bool:
    """Return whether the kernels can train all layers of a network."""
    if not is_native(net):
        return False
    blocks = [block for stage in (*net.encoder, *net.decoder) for block in blocks_of(stage)]
    pointwise = [net.head, *(cast(nn.Sequential, up)[0] for up in net.up)]
    return (
        all(map(_trains_natively, blocks))
        and len({(_conv_of(block).truncation, _conv_of(block).sigma.mode) for block in blocks}) == 1
        and len({len(norms_of(block)) for block in blocks}) == 1
        and all(is_pointwise(layer) and layer.bias is not None for layer in pointwise)
    )


def _trains_natively(block: ConvNormAct) -> bool:
    conv, norm = block.conv, block.norm
    if not (isinstance(conv, ScaleConv2d) and isinstance(norm, ScaleBatchNorm2d) and norm.layout == "batch"):
        return False
    if type(conv.sigma) is not ScaleParameter:
        return False
    norms = norms_of(block)
    usual = all(n.affine and n.track_running_stats and n.momentum is not None for n in norms)
    return usual and len({n.eps for n in norms}) == 1


def _conv_of(block: nn.Module) -> ScaleConv2d:
    return cast(ScaleConv2d, block.conv)


def norms_of(block: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the norm of a block, or the norms of its scale groups."""
    return [cast(nn.BatchNorm2d, norm) for norm in cast(ScaleBatchNorm2d, block.norm).norms]
