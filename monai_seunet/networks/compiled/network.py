"""U-Nets with scale groups as lists of steps for the native library, which is several times faster.

The torch form of the network is the reference. It runs in all other cases: gradients, other types and devices, export,
derivatives above order 1, max pooling, and layers with hooks.

Limits: a change of weights updates the native form. A change of other attributes, such as the truncation of a filter or
the mode of a pool, does not.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any, cast

import torch
from torch import nn

from monai_seunet.native import library as native
from monai_seunet.native.kernels import floats, is_plain, kernel_threads, workspace
from monai_seunet.networks.compiled.supported import blocks_of, is_native, unheard_layers
from monai_seunet.networks.layers.gaussian.scale_conv import FoldedScaleConv2d
from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d
from monai_seunet.networks.layers.rotation.orientation import OrientationConcat, OrientationPool
from monai_seunet.networks.unet.foreground import Part
from monai_seunet.networks.unet.parts import ConvNormAct
from monai_seunet.networks.unet.skeleton import UNetSkeleton


class NativeNetwork:
    """Native form of a network in evaluation mode, with its present weights.

    Args:
        net: network that `is_native` accepts.
        octaves: rising octaves of the image; -1 for the doubled image.
        library: native library.
    """

    def __init__(self, net: UNetSkeleton, octaves: list[int], library: ctypes.CDLL) -> None:
        self._library = library
        self._kept: list[Any] = []  # objects that the C structures point to
        self._buffers: list[tuple[int, int]] = [(net.in_channels, 0)]  # (channels, level)
        self._names: dict[tuple[str, int, int], int] = {}
        self._steps: list[native.Step] = []
        self._work = threading.local()
        with torch.no_grad():
            self._trace(net)
        buffers = (native.Buffer * len(self._buffers))(*(native.Buffer(*buffer) for buffer in self._buffers))
        steps = (native.Step * len(self._steps))(*self._steps)
        octave = (ctypes.c_int32 * len(octaves))(*octaves)
        self._kept += [buffers, steps, octave]
        self.heads = self.groups * len(octaves)
        counts = (self.groups, self.channels, len(net.encoder), len(buffers), len(steps), len(octaves))
        self._network = native.Network(*counts, octave, buffers, steps)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (S * B, N, H, W) of all groups for float32 images (B, C, H, W); the stride divides H and W."""
        return self._run(x, self.channels, (0, 0, *x.shape[2:]), foreground=0)

    def foreground(self, x: torch.Tensor, part: Part, classes: int) -> torch.Tensor:
        """Return probabilities (S * B, N - 1, height, width) of the foreground classes in a part of the images.

        Directions follow as channels.
        """
        return self._run(x, self.channels - 1, part, classes)

    def _run(self, x: torch.Tensor, results: int, part: Part, foreground: int) -> torch.Tensor:
        image = native.Image(x.data_ptr(), *x.stride(), *x.shape)
        output = floats(self.heads * len(x), results, *part[2:])
        result = native.Result(output.data_ptr(), *part, foreground)
        threads = kernel_threads()
        size = self._library.seunet_workspace(self._network, image, result, threads)
        memory = self._workspace(size)
        failed = size == 0 or self._library.seunet_infer(
            self._network, image, result, memory.data_ptr(), memory.numel(), threads
        )
        if failed:
            raise RuntimeError(f"the native library refuses an image of shape {list(x.shape)} and part {part} of it")
        return output

    def _workspace(self, size: int) -> torch.Tensor:
        """Return memory for one call; later calls of the same thread use it again."""
        memory = getattr(self._work, "memory", None)
        if memory is None or not size <= memory.numel() <= 4 * size:
            memory = self._work.memory = workspace(size)
        return memory

    def _trace(self, net: UNetSkeleton) -> None:
        """List the steps of `UNetSkeleton.features` and its head."""
        at, skips = 0, []
        deepest = len(net.encoder) - 1
        for level, stage in enumerate(net.encoder):
            blocks = blocks_of(stage)
            for n, block in enumerate(blocks):
                channels = _out_channels(block)
                role = "skip" if (len(blocks) - n) % 2 else "other"
                target, pooled = self._buffer(role, channels, level), -1
                if n == len(blocks) - 1 and level < deepest:
                    pooled = self._buffer("between", channels, level + 1)
                self._conv(block, at, -1, target, pooled)
                at = target
            skips.append(at)
            if level < deepest:
                at = pooled
        skips.pop()
        for up, stage in zip(net.up, net.decoder, strict=True):
            level = len(skips) - 1
            weight, bias = _dense(cast(nn.Sequential, up)[0])
            coarse = self._buffer("between", len(weight), level + 1)
            self._pointwise(native.POINTWISE, weight, bias, at, coarse)
            source = skips.pop()
            inputs = _places(net.join, self._buffers[source][0], len(weight))
            for block in blocks_of(stage):
                role = "other" if self._role(source) == "skip" else "skip"
                target = self._buffer(role, _out_channels(block), level)
                self._conv(block, source, coarse, target, -1, inputs)
                source, coarse, inputs = target, -1, None
            at = source
        weight, bias, orientations = _dense_head(net.head)
        self._pointwise(native.HEAD, weight, bias, at, -1, orientations)
        self.channels = len(weight)

    def _buffer(self, role: str, channels: int, level: int) -> int:
        """Return the buffer of a role at a level: `skip` and `other` alternate, `between` is for the next level."""
        key = (role, channels, level)
        if key not in self._names:
            self._names[key] = len(self._buffers)
            self._buffers.append((channels, level))
        return self._names[key]

    def _role(self, buffer: int) -> str:
        return next(role for (role, _, _), number in self._names.items() if number == buffer)

    def _conv(
        self, block: ConvNormAct, source: int, coarse: int, target: int, pooled: int, inputs: torch.Tensor | None = None
    ) -> None:
        conv: Any = block.conv if isinstance(block.conv, FoldedScaleConv2d) else block.conv.folded(block.norm)  # type: ignore[operator]
        self.groups = conv.num_scales
        weights = (native.Weights * self.groups)()
        bias, widest = self._array(conv.bias), conv.kernels.shape[-1] // 2
        packed: list[tuple[torch.Tensor, int]] = []
        for k, radius in enumerate(conv.radii):
            alpha = conv.alpha[k]
            same = [address for other, address in packed if torch.equal(other, alpha)]
            ordered = alpha if inputs is None else alpha[:, :, inputs]
            address = same[0] if same else self._packed("seunet_pack_mix", ordered)
            packed.append((alpha, address))
            halves = self._array(conv.kernels[k, :, widest : widest + radius + 1])
            even = halves.data_ptr()
            odd = halves.data_ptr() + 4 * halves.shape[1]
            weights[k] = native.Weights(address, bias.data_ptr() + 4 * k * bias.shape[1], even, odd, radius)
        self._add(native.SCALE_CONV, source, coarse, target, pooled, weights)

    def _pointwise(
        self, kind: int, weight: torch.Tensor, bias: torch.Tensor, source: int, target: int, orientations: int = 1
    ) -> None:
        packed, offsets = self._packed("seunet_pack_pointwise", weight), self._array(bias)
        weights = native.Weights(packed, offsets.data_ptr(), None, None, 0)
        self._add(kind, source, -1, target, -1, (native.Weights * self.groups)(*[weights] * self.groups), orientations)

    def _add(
        self, kind: int, source: int, coarse: int, target: int, pooled: int, weights: Any, orientations: int = 1
    ) -> None:
        self._kept.append(weights)
        self._steps.append(native.Step(kind, source, coarse, target, pooled, orientations, weights))

    def _packed(self, function: str, weight: torch.Tensor) -> int:
        """Pack weights (..., O, I) in the order of the kernels, and return their address."""
        weight = weight.detach().contiguous()
        packed = self._array(floats(weight.numel()))
        getattr(self._library, function)(weight.data_ptr(), *weight.shape[-2:], packed.data_ptr())
        return packed.data_ptr()

    def _array(self, values: torch.Tensor) -> torch.Tensor:
        values = values.detach().contiguous().clone()
        self._kept.append(values)
        return values


def _dense(conv: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight (O, I) and the bias (O,) of a 1 x 1 convolution for all orientations."""
    grouped = isinstance(conv, GroupConv2d)
    weight, bias = (conv.expanded_weight(), conv.expanded_bias()) if grouped else (conv.weight, conv.bias)
    return weight.flatten(1), floats(len(weight)).zero_() if bias is None else bias


def _places(join: nn.Module, skip: int, coarse: int) -> torch.Tensor | None:
    """Return the indices of the channels of the skip, and then of the doubled map, in their concatenation."""
    if not isinstance(join, OrientationConcat):
        return None
    channels = torch.arange(skip + coarse, device="cpu").view(join.order, -1)
    skip_channels = skip // join.order  # in each orientation
    return torch.cat([channels[:, :skip_channels].flatten(), channels[:, skip_channels:].flatten()])


def _dense_head(head: nn.Module) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return the weight and the bias of the head, and the number of orientations for its maximum."""
    if not isinstance(head, nn.Sequential):
        return *_dense(head), 1
    pool, (weight, bias) = cast(OrientationPool, head[0]), _dense(head[1])
    if pool.mode == "max":
        return weight, bias, pool.order
    return weight.repeat(1, pool.order) / pool.order, bias, 1


def _out_channels(block: ConvNormAct) -> int:
    alpha: torch.Tensor = block.conv.alpha  # type: ignore[assignment]
    folded = isinstance(block.conv, FoldedScaleConv2d)
    return alpha.shape[-2] if folded else block.conv.mixing().shape[-2]  # type: ignore[operator]


class _CacheEntry:
    """The native form of a network, and the state that shows later changes of the network.

    The entry keeps the layers and the memory of the weights alive, so no other objects get their addresses.
    """

    def __init__(self, state: list[int], layers: list[nn.Module], tensors: list[torch.Tensor]) -> None:
        self.state, self.layers = state, layers
        self.memory = [tensor.untyped_storage() for tensor in tensors]
        self.native: NativeNetwork | None = None
        self._addresses = (ctypes.c_void_p * len(tensors))(*(memory.data_ptr() for memory in self.memory))
        self._bytes = (ctypes.c_int64 * len(tensors))(*(memory.nbytes() for memory in self.memory))
        self.values: int | None = None  # checksum of the weights in `native`

    def checksum(self, library: ctypes.CDLL) -> int:
        """Return a checksum of the weights, since `.data` and numpy change them without a new version."""
        return library.seunet_checksum(self._addresses, self._bytes, len(self.memory))


_cache: weakref.WeakKeyDictionary[nn.Module, _CacheEntry] = weakref.WeakKeyDictionary()


def native_network(net: UNetSkeleton, octaves: list[int], x: torch.Tensor) -> NativeNetwork | None:
    """Return the native form of a network with its present weights; None if torch has to run the network on `x`."""
    if net.training or torch.is_grad_enabled() or not is_plain(x):
        return None
    library = native.library()
    layers = None if library is None else unheard_layers(net)
    if library is None or layers is None:
        return None
    by_name = (named for layer in layers for named in (layer._parameters, layer._buffers))
    tensors = [tensor for named in by_name for tensor in named.values() if tensor is not None]
    state = [library._handle, *map(id, layers), *(tensor.data_ptr() for tensor in tensors), *octaves]
    entry = _cache.get(net)
    if entry is None or entry.state != state:
        if not all(tensor.device.type == "cpu" for tensor in tensors):
            return None
        entry = _cache[net] = _CacheEntry(state, layers, tensors)
    values = entry.checksum(library)
    if entry.values != values:
        entry.native = NativeNetwork(net, octaves, library) if is_native(net) else None
        entry.values = values
    return entry.native
