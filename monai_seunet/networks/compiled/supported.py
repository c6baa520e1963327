"""Check of networks for layers that the native kernels support."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn
from torch.nn.modules import module as global_hooks

from monai_seunet.networks.layers.gaussian.scale_conv import FoldedScaleConv2d, ScaleConv2d
from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d
from monai_seunet.networks.layers.rotation.orientation import OrientationConcat, OrientationPool
from monai_seunet.networks.layers.sampling import BilinearUpsample2d
from monai_seunet.networks.unet.parts import Concat, ConvNormAct
from monai_seunet.networks.unet.skeleton import UNetSkeleton

MOST_RADIUS = 32
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def blocks_of(stage: nn.Module) -> list[ConvNormAct]:
    """Return the filters of a stage with their norms."""
    return list(cast(Iterable[ConvNormAct], stage))


def unheard_layers(net: nn.Module) -> list[nn.Module] | None:
    """Return all layers of a network; None if a layer has hooks, or another mode than the network."""
    if global_hooks._global_forward_hooks or global_hooks._global_forward_pre_hooks:
        return None
    layers, training = list(net.children()), net.training
    for layer in layers:  # the loop appends their children
        attributes = layer.__dict__
        if attributes["training"] is not training or any(map(attributes.__getitem__, _HOOKS)):
            return None
        layers.extend(child for child in attributes["_modules"].values() if child is not None)
    return layers


def is_native(net: UNetSkeleton) -> bool:
    """Return whether the kernels support all layers of a network."""
    stages = [*net.encoder, *net.decoder]
    if not all(isinstance(stage, nn.Sequential) and all(map(_is_block, stage)) for stage in stages):
        return False
    lifting = [block.conv.lifting for stage in stages for block in blocks_of(stage)]
    return (
        lifting[0] is True
        and not any(lifting[1:])
        and _halves(net.pool)
        and type(net.join) in (Concat, OrientationConcat)
        and _is_head(net.head)
        and all(isinstance(up, nn.Sequential) and _is_up(up) for up in net.up)
    )


def _halves(pool: nn.Module) -> bool:
    if type(pool) is not nn.AvgPool2d or pool.ceil_mode or pool.divisor_override is not None:
        return False
    return (pool.kernel_size, pool.stride, pool.padding) in ((2, 2, 0), ((2, 2), (2, 2), (0, 0)))


def _is_up(up: nn.Sequential) -> bool:
    return len(up) == 2 and _is_dense(up[0]) and type(up[1]) is BilinearUpsample2d


def _is_dense(layer: nn.Module) -> bool:
    if type(layer) is GroupConv2d:
        return layer.kernel_size == 1 and not layer.lifting and _is_single(layer.weight)
    return is_pointwise(layer)


def _is_head(head: nn.Module) -> bool:
    if isinstance(head, nn.Sequential):
        pool = head[0]
        return len(head) == 2 and type(pool) is OrientationPool and is_pointwise(head[1])
    return is_pointwise(head)


def is_pointwise(layer: nn.Module) -> bool:
    """Return whether a layer is a 1 x 1 convolution of all channels, without groups, stride and padding."""
    if type(layer) is not nn.Conv2d or layer.groups != 1 or layer.padding != (0, 0):
        return False
    return layer.kernel_size == layer.stride == (1, 1) and _is_single(layer.weight)


def _is_single(weight: torch.Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.device.type == "cpu"


def _is_block(block: nn.Module) -> bool:
    if not (type(block) is ConvNormAct and type(block.act) is nn.ReLU):
        return False
    conv = block.conv
    if type(conv) is FoldedScaleConv2d:
        radii, fits = conv.radii, conv.kernels.shape[1] == 2 and isinstance(block.norm, nn.Identity)
    elif isinstance(conv, ScaleConv2d) and type(conv).forward is ScaleConv2d.forward:
        radii, fits = conv.sigma.radii(conv.truncation), conv.order == 1
    else:
        return False
    return fits and max(radii) <= MOST_RADIUS and _is_single(conv.alpha)
