"""Training steps of U-Nets with scale groups by the native library: one autograd node from the image to the logits.

The torch form stays the reference; it runs whatever the kernels do not, see `native_network`.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from monai_seunet.native import library as native
from monai_seunet.native.suits import is_plain
from monai_seunet.networks.blocks import ConvNormAct, UNetSkeleton
from monai_seunet.networks.layers.gaussian import gaussian_derivative_kernels, gaussian_derivative_kernels_grad
from monai_seunet.networks.layers.norm import ScaleBatchNorm2d
from monai_seunet.networks.layers.scale_conv import ScaleConv2d
from monai_seunet.networks.native_network import MOST_RADIUS, floats, is_native, is_pointwise, state_of

PLAIN, NORMED, POOLED = range(3)  # how a layer reads its source; a coarse map is doubled


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
    """The layers of a network in training, and memory that is used again from step to step.

    Args:
        net: a network that `native_training` accepts.
    """

    net: InitVar[UNetSkeleton]
    levels: int = 0
    classes: int = 0
    layers: list[Layer] = field(default_factory=list)
    maps: list[tuple[int, int]] = field(default_factory=list)  # (channels, level)
    gradients: list[tuple[int, int]] = field(default_factory=list)
    memory: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self, net: UNetSkeleton) -> None:
        """List the layers in the order of `UNetSkeleton.features`, then find a place for every gradient."""
        self.levels, self.classes = len(net.encoder), cast(nn.Conv2d, net.head).out_channels
        at, reading, skips = self._map(net.in_channels, 0), PLAIN, []
        for level, stage in enumerate(net.encoder):
            for block in _blocks(stage):
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
            for block in _blocks(stage):
                at, coarse = self._conv(block, at, NORMED, coarse, level), -1
        self.layers.append(Layer(native.HEAD, net.head, at, NORMED, -1))
        self._place_gradients()

    def _map(self, channels: int, level: int) -> int:
        self.maps.append((channels, level))
        return len(self.maps) - 1

    def _conv(self, block: ConvNormAct, source: int, reading: int, coarse: int, level: int) -> int:
        target = self._map(_conv_of(block).mixing().shape[1], level)
        self.layers.append(Layer(native.SCALE_CONV, block, source, reading, target, coarse))
        return target

    def _place_gradients(self) -> None:
        """Walk the layers backwards; the gradient of a map takes the place of one that is needed no more."""
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
            if layer.coarse >= 0:  # of the doubled map, from which the layer before takes that of the coarse one
                channels, level = self.maps[layer.coarse]
                layer.coarse_gradient = placed[layer.coarse] = place((channels, level - 1))
            if layer.target_gradient >= 0:
                release(layer.target_gradient)

    @property
    def convs(self) -> list[nn.Module]:
        """The blocks of a scale convolution and its norm."""
        return [layer.module for layer in self.layers if layer.kind == native.SCALE_CONV]

    @property
    def truncation(self) -> float:
        """Of all kernels, in units of sigma."""
        return _conv_of(self.convs[0]).truncation

    def sigma_places(self) -> list[int]:
        """Which of the parameters are sigmas."""
        places, at = [], 0
        for layer in self.layers:
            if layer.kind == native.SCALE_CONV:
                places.append(at + 1)
            at += 4 if layer.kind == native.SCALE_CONV else 2
        return places

    def widest(self, parameters: list[torch.Tensor]) -> float:
        """The largest radius of a kernel, in pixels."""
        sigma = torch.cat([parameters[place].detach() for place in self.sigma_places()])
        return math.ceil(float(sigma.max()) * self.truncation)

    def fewest_values(self, images: list[torch.Tensor]) -> int:
        """Values of a channel that a norm sees on the coarsest maps."""
        pixels = sum(x.shape[0] * x.shape[2] * x.shape[3] for x in images) // 4 ** (self.levels - 1)
        return pixels * _conv_of(self.convs[0]).num_scales // len(_norms_of(self.convs[0]))

    def parameters(self) -> Iterator[torch.Tensor]:
        """What the gradients are taken of, layer by layer."""
        for layer in self.layers:
            if layer.kind == native.SCALE_CONV:
                conv, norms = _conv_of(layer.module), _norms_of(layer.module)
                yield conv.mixing()
                yield conv.sigma()
                yield norms[0].weight if len(norms) == 1 else torch.stack([norm.weight for norm in norms])
                yield norms[0].bias if len(norms) == 1 else torch.stack([norm.bias for norm in norms])
            else:
                yield cast(torch.Tensor, layer.module.weight)
                yield cast(torch.Tensor, layer.module.bias)


class TrainingStep:
    """One step: the C structures of the plan with the parameters and images of now, and room for the results."""

    def __init__(self, plan: TrainingPlan, images: list[torch.Tensor], parameters: list[torch.Tensor]) -> None:
        self.plan, self.images = plan, images
        self.parameters = [parameter.detach().contiguous() for parameter in parameters]
        sigmas = [self.parameters[n] for n in self.plan.sigma_places()]
        self.groups = len(sigmas[0])
        self._kernels(torch.cat(sigmas), plan.truncation)
        norms = len(_norms_of(plan.convs[0]))
        widest = max(channels for channels, _ in plan.maps)
        convs = len(sigmas)
        self.moments = torch.empty(convs, 2, norms, widest, dtype=torch.float64, device="cpu")
        self.threads = torch.get_num_threads()  # those of the step: memory is made for so many
        self.layers = (native.TrainingLayer * len(plan.layers))(*self._layers())
        buffers = (native.Buffer * len(plan.maps))(*(native.Buffer(*shape) for shape in plan.maps))
        gradients = (native.Buffer * len(plan.gradients))(*(native.Buffer(*shape) for shape in plan.gradients))
        pictures = (native.Image * len(images))(
            *(native.Image(x.data_ptr(), *x.stride(), x.shape[0], *x.shape[2:]) for x in images)
        )
        self.struct = native.Training(
            self.groups,
            plan.classes,
            plan.levels,
            norms,
            len(buffers),
            len(gradients),
            len(self.layers),
            len(images),
            buffers,
            gradients,
            self.layers,
            pictures,
        )
        self._kept = (buffers, gradients, pictures)

    def _kernels(self, sigma: torch.Tensor, truncation: float) -> None:
        """The right halves of all kernels and of their derivatives by sigma, (layers * groups, 4, taps)."""
        self.radii = (sigma * truncation).ceil().clamp(min=1.0).to(torch.int32)
        widest = int(self.radii.max())
        values = gaussian_derivative_kernels(sigma, 1, widest, truncation)
        slopes = gaussian_derivative_kernels_grad(sigma, 1, widest, truncation)
        self.kernels = torch.cat([values, slopes])[:, :, widest:].transpose(0, 1).contiguous()

    def _layers(self) -> Iterator[native.TrainingLayer]:
        at = conv = 0
        for layer in self.plan.layers:
            places = (layer.kind, layer.source, layer.coarse, layer.target, layer.reading, layer.source_gradient)
            more = (int(layer.source_adds), layer.coarse_gradient, layer.target_gradient)
            if layer.kind == native.SCALE_CONV:
                mix, _, gamma, beta = (parameter.data_ptr() for parameter in self.parameters[at : at + 4])
                norm = _norms_of(layer.module)[0]
                mean, variance = self.moments[conv]
                first = conv * self.groups
                yield native.TrainingLayer(
                    *places,
                    *more,
                    mix,
                    None,
                    self.kernels[first].data_ptr(),
                    self.radii[first:].data_ptr(),
                    self.kernels.shape[2],
                    norm.num_features,
                    norm.eps,
                    gamma,
                    beta,
                    mean.data_ptr(),
                    variance.data_ptr(),
                )
                at, conv = at + 4, conv + 1
            else:
                weight, bias = (parameter.data_ptr() for parameter in self.parameters[at : at + 2])
                yield native.TrainingLayer(*places, *more, weight, bias, None, None, 0, 1)
                at += 2

    def forward(self, library: ctypes.CDLL) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Logits (S_o * B, N, h, w) of every octave, and the memory that `backward` needs."""
        size = library.seunet_training_workspace(self.struct, self.threads)
        memory = self._memory(size)
        logits = [floats(self.groups * len(x), self.plan.classes, *x.shape[2:]) for x in self.images]
        workspace = (memory.data_ptr(), memory.numel(), self.threads)
        if size == 0 or library.seunet_train_forward(self.struct, _addresses(logits), *workspace):
            raise RuntimeError(f"the native library refuses images of shape {[list(x.shape) for x in self.images]}")
        self._move_running_statistics()
        return logits, memory

    def backward(self, library: ctypes.CDLL, memory: torch.Tensor, d_logits: list[torch.Tensor]) -> list[torch.Tensor]:
        """The gradients of all parameters."""
        results = [torch.empty_like(parameter) for parameter in self.parameters]
        places = self.plan.sigma_places()
        d_sigma = torch.empty(len(places), self.groups, dtype=torch.float64, device="cpu")
        self._point_to(results, d_sigma)
        workspace = (memory.data_ptr(), memory.numel(), self.threads)
        if library.seunet_train_backward(self.struct, _addresses(d_logits), *workspace):
            raise RuntimeError("the native library refuses the gradients of what it has computed")
        for place, gradient in zip(places, d_sigma, strict=True):
            results[place].copy_(gradient)
        return results

    def _point_to(self, results: list[torch.Tensor], d_sigma: torch.Tensor) -> None:
        at = conv = 0
        for layer in self.layers:
            if layer.kind == native.SCALE_CONV:
                mix, _, gamma, beta = (result.data_ptr() for result in results[at : at + 4])
                layer.d_weight, layer.d_gamma, layer.d_beta = mix, gamma, beta
                layer.d_sigma = d_sigma[conv].data_ptr()
                at, conv = at + 4, conv + 1
            else:
                layer.d_weight, layer.d_bias = (result.data_ptr() for result in results[at : at + 2])
                at += 2

    def _memory(self, size: int) -> torch.Tensor:
        kept = self.plan.memory
        for n, memory in enumerate(kept):
            if size <= memory.numel() <= 2 * size:
                return kept.pop(n)
        kept.clear()
        return floats(size)

    def _move_running_statistics(self) -> None:
        pixels = sum(x.shape[0] * x.shape[2] * x.shape[3] for x in self.images) * self.groups
        convs = [layer for layer in self.plan.layers if layer.kind == native.SCALE_CONV]
        for layer, moments in zip(convs, self.moments.float(), strict=True):
            norms = _norms_of(layer.module)
            channels, level = self.plan.maps[layer.target]
            slots = norms[0].num_features
            count = pixels // 4**level // len(norms) * (channels // slots)
            mean, variance = moments.flatten(1)[:, : len(norms) * slots].unflatten(1, (len(norms), slots))
            for n, norm in enumerate(norms):
                momentum = cast(float, norm.momentum)
                norm.get_buffer("num_batches_tracked").add_(1)
                norm.get_buffer("running_mean").lerp_(mean[n], momentum)
                norm.get_buffer("running_var").lerp_(variance[n] * (count / max(count - 1, 1)), momentum)


class _Train(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: TrainingPlan, library: ctypes.CDLL, images: list[torch.Tensor], *parameters: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        ctx.step, ctx.library = TrainingStep(plan, images, list(parameters)), library
        logits, memory = ctx.step.forward(library)
        ctx.save_for_backward(memory, *parameters)  # that is freed with the graph; these may not change until then
        return tuple(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_logits: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        memory, *_ = ctx.saved_tensors
        gradients = ctx.step.backward(ctx.library, memory, [d.contiguous() for d in d_logits])
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.step.plan.memory.append(memory)
        return (None, None, None, *gradients)


class _Known(NamedTuple):
    """The plan of a network, or None, and the layers that it was made from, kept alive as `state` names them."""

    state: list[int]
    layers: list[nn.Module]
    plan: TrainingPlan | None


_plans: weakref.WeakKeyDictionary[nn.Module, _Known] = weakref.WeakKeyDictionary()


def native_training(net: UNetSkeleton, images: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """Logits (S_o * B, N, h, w) of every octave with their gradients; None where torch has to run the network.

    Limits: the norms' variance is the mean square less the squared mean, which loses digits where a channel's mean is
    large against its deviation: four of seven where it is 300 times as large.

    Args:
        net: a network with scale groups, in training.
        images: the batch at every octave, (B, C, h, w); the stride of one octave divides the sides.
    """
    if not (net.training and torch.is_grad_enabled() and all(map(is_plain, images))):
        return None
    if any(image.requires_grad for image in images):
        return None
    library = native.library()
    found = None if library is None else state_of(net)
    if library is None or found is None:
        return None
    state, layers = [id(layer) for layer in found[1]], found[1]
    known = _plans.get(net)
    if known is None or known.state != state:
        known = _plans[net] = _Known(state, layers, TrainingPlan(net) if _is_trainable(net) else None)
    if known.plan is None:
        return None
    parameters = list(known.plan.parameters())
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in parameters):
        return None
    if known.plan.widest(parameters) >= MOST_RADIUS or known.plan.fewest_values(images) < 2:
        return None
    return list(_Train.apply(known.plan, library, images, *parameters))


def _is_trainable(net: UNetSkeleton) -> bool:
    """Whether the kernels know how to train all layers of a network."""
    if not is_native(net):
        return False
    blocks = _blocks_of(net)
    pointwise = [net.head, *(cast(nn.Sequential, up)[0] for up in net.up)]
    return (
        all(map(_trains_natively, blocks))
        and len({_conv_of(block).truncation for block in blocks}) == 1
        and len({len(_norms_of(block)) for block in blocks}) == 1
        and all(is_pointwise(layer) and layer.bias is not None for layer in pointwise)
    )


def _trains_natively(block: ConvNormAct) -> bool:
    conv, norm = block.conv, block.norm
    if not (isinstance(conv, ScaleConv2d) and isinstance(norm, ScaleBatchNorm2d) and norm.layout == "batch"):
        return False
    norms = _norms_of(block)
    usual = all(n.affine and n.track_running_stats and n.momentum is not None for n in norms)
    return usual and len({n.eps for n in norms}) == 1


def _addresses(tensors: list[torch.Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))


def _blocks(stage: nn.Module) -> list[ConvNormAct]:
    return [cast(ConvNormAct, block) for block in cast(nn.Sequential, stage)]


def _blocks_of(net: UNetSkeleton) -> list[ConvNormAct]:
    return [block for stage in (*net.encoder, *net.decoder) for block in _blocks(stage)]


def _conv_of(block: nn.Module) -> ScaleConv2d:
    return cast(ScaleConv2d, block.conv)


def _norms_of(block: nn.Module) -> list[nn.BatchNorm2d]:
    return [cast(nn.BatchNorm2d, norm) for norm in cast(ScaleBatchNorm2d, block.norm).norms]
