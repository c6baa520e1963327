"""Training steps of U-Nets with scale groups by the native library, as one autograd node from image to logits.

The torch form of the network is the reference, and runs in all other cases; see `native_network`.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterator
from operator import is_not
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from monai_seunet.native import library as native
from monai_seunet.native.kernels import end_waiting_threads, floats, is_plain, kernel_threads, workspace
from monai_seunet.networks.compiled.plan import TrainingPlan, is_trainable, norms_of
from monai_seunet.networks.compiled.supported import MOST_RADIUS, unheard_layers
from monai_seunet.networks.layers.gaussian.kernels import gaussian_derivative_kernels, gaussian_derivative_kernels_grad
from monai_seunet.networks.unet.skeleton import UNetSkeleton


class TrainingStep:
    """One training step: the C structures of the plan with parameters and images, and buffers for the results."""

    def __init__(self, plan: TrainingPlan, images: list[torch.Tensor], parameters: list[torch.Tensor]) -> None:
        self.plan, self.images = plan, images
        self.parameters = [parameter.detach().contiguous() for parameter in parameters]
        sigma = self.parameters[0]
        self.groups = sigma.shape[1]
        self._kernels(sigma.flatten(), plan.truncation)
        norms = len(norms_of(plan.convs[0]))
        widest = max(channels for channels, _ in plan.maps)
        self.moments = torch.empty(len(plan.convs), 2, norms, widest, dtype=torch.float64, device="cpu")
        self.threads = kernel_threads()  # constant in the step, since the size of the memory depends on it
        self.layers = (native.TrainingLayer * len(plan.layers))(*self._layers())
        buffers = (native.Buffer * len(plan.maps))(*(native.Buffer(*shape) for shape in plan.maps))
        gradients = (native.Buffer * len(plan.gradients))(*(native.Buffer(*shape) for shape in plan.gradients))
        pictures = (native.Image * len(images))(*(native.Image(x.data_ptr(), *x.stride(), *x.shape) for x in images))
        counts = (len(buffers), len(gradients), len(self.layers), len(images))
        arrays = (buffers, gradients, self.layers, pictures)
        self.struct = native.TrainingStruct(self.groups, plan.classes, plan.levels, norms, *counts, *arrays)
        self._kept = (buffers, gradients, pictures)

    def _kernels(self, sigma: torch.Tensor, truncation: float) -> None:
        """Compute the right halves (layers * groups, 4, taps) of all kernels and of their derivatives by sigma."""
        self.radii = (sigma * truncation).ceil().clamp(min=1.0).to(torch.int32)
        widest = int(self.radii.max())
        values = gaussian_derivative_kernels(sigma, 1, widest, truncation)
        slopes = gaussian_derivative_kernels_grad(sigma, 1, widest, truncation)
        self.kernels = torch.cat([values, slopes])[:, :, widest:].transpose(0, 1).contiguous()

    def _layers(self) -> Iterator[native.TrainingLayer]:
        addresses = iter([parameter.data_ptr() for parameter in self.parameters[1:]])
        taps, moments = self.kernels.shape[2], 8 * self.moments[0, 0].numel()
        kernels, radii, mean = self.kernels.data_ptr(), self.radii.data_ptr(), self.moments.data_ptr()
        for layer in self.plan.layers:
            maps = (layer.kind, layer.source, layer.coarse, layer.target, layer.reading)
            gradients = (layer.source_gradient, int(layer.source_adds), layer.coarse_gradient, layer.target_gradient)
            if layer.kind == native.SCALE_CONV:
                norm = norms_of(layer.module)[0]
                mix, gamma, beta = next(addresses), next(addresses), next(addresses)
                filters = (kernels, radii, taps)
                norming = (norm.num_features, norm.eps, gamma, beta, mean, mean + moments)
                yield native.TrainingLayer(*maps, *gradients, mix, None, *filters, *norming)
                kernels, radii = kernels + 4 * self.groups * 4 * taps, radii + 4 * self.groups
                mean += 2 * moments
            else:
                weight, bias = next(addresses), next(addresses)
                yield native.TrainingLayer(*maps, *gradients, weight, bias, None, None, 0, 1)

    def forward(self, library: ctypes.CDLL) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return logits (S_o * B, N, h, w) of every octave, and the memory that `backward` needs."""
        size = library.seunet_training_workspace(self.struct, self.threads)
        memory = self._memory(size)
        logits = [floats(self.groups * len(x), self.plan.classes, *x.shape[2:]) for x in self.images]
        arguments = (memory.data_ptr(), memory.numel(), self.threads)
        if size == 0 or library.seunet_train_forward(self.struct, _addresses(logits), *arguments):
            raise RuntimeError(f"the native library refuses images of shape {[list(x.shape) for x in self.images]}")
        self._move_running_statistics()
        return logits, memory

    def backward(self, library: ctypes.CDLL, memory: torch.Tensor, d_logits: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the gradients of all parameters."""
        results = [torch.empty_like(parameter) for parameter in self.parameters]
        d_sigma = torch.empty(results[0].shape, dtype=torch.float64, device="cpu")
        self._point_to(results, d_sigma)
        end_waiting_threads(self.threads)
        arguments = (memory.data_ptr(), memory.numel(), self.threads)
        if library.seunet_train_backward(self.struct, _addresses(d_logits), *arguments):
            raise RuntimeError("the native library refuses the gradients of its logits")
        results[0].copy_(d_sigma)
        return results

    def _point_to(self, results: list[torch.Tensor], d_sigma: torch.Tensor) -> None:
        addresses, of_sigma = iter([result.data_ptr() for result in results[1:]]), d_sigma.data_ptr()
        for layer in self.layers:
            layer.d_weight = next(addresses)
            if layer.kind == native.SCALE_CONV:
                layer.d_gamma, layer.d_beta = next(addresses), next(addresses)
                layer.d_sigma, of_sigma = of_sigma, of_sigma + 8 * self.groups
            else:
                layer.d_bias = next(addresses)

    def _memory(self, size: int) -> torch.Tensor:
        kept = self.plan.memory
        for n, memory in enumerate(kept):
            if size <= memory.numel() <= 2 * size:
                return kept.pop(n)
        kept.clear()
        return workspace(size)

    def _move_running_statistics(self) -> None:
        pixels = sum(x.shape[0] * x.shape[2] * x.shape[3] for x in self.images) * self.groups
        moved: dict[float, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}  # momentum -> running and new values
        counts = []
        for layer, moments in zip(self.plan.scale_convs, self.moments.float().flatten(2).unbind(), strict=True):
            norms = norms_of(layer.module)
            channels, level = self.plan.maps[layer.target]
            slots = norms[0].num_features
            count = pixels // 4**level // len(norms) * (channels // slots)
            mean, variance = moments.unbind()
            variance *= count / max(count - 1, 1)
            for n, norm in enumerate(norms):
                channels_of_norm = slice(n * slots, (n + 1) * slots)
                running, new = moved.setdefault(cast(float, norm.momentum), ([], []))
                running += [cast(torch.Tensor, norm.running_mean), cast(torch.Tensor, norm.running_var)]
                new += [mean[channels_of_norm], variance[channels_of_norm]]
                counts.append(cast(torch.Tensor, norm.num_batches_tracked))
        for momentum, (running, new) in moved.items():
            torch._foreach_lerp_(running, new, momentum)
        torch._foreach_add_(counts, 1)


class _Train(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: TrainingPlan, library: ctypes.CDLL, images: list[torch.Tensor], *parameters: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        ctx.step, ctx.library = TrainingStep(plan, images, list(parameters)), library
        logits, memory = ctx.step.forward(library)
        ctx.save_for_backward(memory, *parameters)  # frees the memory with the graph, and detects changed parameters
        return tuple(logits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *d_logits: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        memory, *_ = ctx.saved_tensors
        gradients = ctx.step.backward(ctx.library, memory, [d.contiguous() for d in d_logits])
        if not torch._C._autograd._get_current_graph_task_keep_graph():
            ctx.step.plan.memory.append(memory)
        return (None, None, None, *gradients)


class _CacheEntry(NamedTuple):
    """The plan of a network, or None, and its layers."""

    layers: list[nn.Module]
    plan: TrainingPlan | None


_plans: weakref.WeakKeyDictionary[nn.Module, _CacheEntry] = weakref.WeakKeyDictionary()


def native_training(net: UNetSkeleton, images: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """Return differentiable logits (S_o * B, N, h, w) of every octave; None if torch has to run the network.

    Limits: the variance of a norm is the mean square minus the squared mean, which loses four of seven digits if the
    mean of a channel is 300 times its deviation.

    Args:
        net: network with scale groups, in training.
        images: batch (B, C, h, w) at every octave; the stride of one octave divides the sides.
    """
    if not (net.training and torch.is_grad_enabled() and all(map(is_plain, images))):
        return None
    if any(image.requires_grad for image in images):
        return None
    library = native.library()
    layers = None if library is None else unheard_layers(net)
    if library is None or layers is None:
        return None
    entry = _plans.get(net)
    if entry is None or len(entry.layers) != len(layers) or any(map(is_not, entry.layers, layers)):
        entry = _plans[net] = _CacheEntry(layers, TrainingPlan(net) if is_trainable(net) else None)
    if entry.plan is None:
        return None
    parameters = list(entry.plan.parameters())
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in parameters):
        return None
    if entry.plan.widest(parameters[0]) >= MOST_RADIUS or entry.plan.fewest_values(images) < 2:
        return None
    return list(_Train.apply(entry.plan, library, images, *parameters))


def _addresses(tensors: list[torch.Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(tensor.data_ptr() for tensor in tensors))
