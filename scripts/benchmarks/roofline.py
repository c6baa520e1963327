"""The roofline model: a lower bound of the time of a network by its calculation and its memory traffic.

The model counts the products of convolutions and one transfer of their input and output maps. Scale convolutions count
in the form of the kernels (rows, mix, columns). Norms, activations, pooling and the loss do not count. Maps that stay
in a cache cost less than in the model, so a share may be above one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

FLOAT = 4  # bytes


@dataclass
class Peak:
    """Peak performance of the processor: multiply-adds and bytes per second."""

    macs: float
    bytes: float


def measure_peak(rounds: int = 5) -> Peak:
    """Measure the fastest of several matrix products and memory copies with the current torch threads."""
    import torch

    a, b = torch.rand(1536, 1536), torch.rand(1536, 1536)
    source = torch.rand(2**25)
    target = torch.empty_like(source)
    products = min(_seconds(lambda: torch.mm(a, b)) for _ in range(rounds))
    copies = min(_seconds(lambda: target.copy_(source)) for _ in range(rounds))
    return Peak(1536**3 / products, 2 * FLOAT * source.numel() / copies)


def _seconds(run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


@dataclass
class Work:
    """Multiply-adds and bytes of memory traffic of a layer."""

    macs: float
    bytes: float

    def seconds(self, peak: Peak) -> float:
        """Return the lower bound of the time; calculation and memory traffic may overlap."""
        return max(self.macs / peak.macs, self.bytes / peak.bytes)


def least_seconds(net, x, train: bool, peak: Peak) -> float:
    """Return the lower bound of the time of a forward pass, or of a training step, on a batch of images."""
    return sum(work.seconds(peak) for work in work_of(net, x, train))


def work_of(net, x, train: bool) -> list[Work]:
    """Return the work of every layer of a network, in a forward pass or in a training step."""
    import torch

    from monai_seunet.native.library import torch_form
    from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d

    works: list[Work] = []

    def count(layer, inputs, output) -> None:
        (maps,) = inputs
        macs = _scale_conv_macs(layer, maps, output, train) if isinstance(layer, ScaleConv2d) else 0
        if not macs:
            taps = layer.kernel_size[0] * layer.kernel_size[1]
            first = maps.shape[1] == x.shape[1]  # the first layer needs no gradient of its input
            macs = output.numel() * maps.shape[1] * taps * (1 + train * (1 if first else 2))
        # in training, a layer also reads its input, output and gradient of the output, and writes that of the input
        works.append(Work(macs, FLOAT * (maps.numel() + output.numel()) * (1 + 2 * train)))

    layers = [layer for layer in net.modules() if isinstance(layer, (ScaleConv2d, torch.nn.Conv2d))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad(), torch_form():
        net(x)
    for hook in hooks:
        hook.remove()
    return works


def _scale_conv_macs(layer, x, y, train: bool) -> float:
    """Return the multiply-adds of a scale convolution; training computes the rows and the mix a second time."""
    outputs, inputs, pixels = y.shape[1], x.shape[1], y.shape[0] // layer.num_scales * y.shape[2] * y.shape[3]
    total = 0.0
    for radius in layer.sigma.radii(layer.truncation):
        taps = 2 * radius + 1
        rows, mix, columns = inputs * taps, 3 * outputs * inputs, outputs * taps
        forward = rows + mix + columns
        # rows again and their adjoint with that of sigma, the same for columns, mix again, its adjoint and its gradient
        backward = 3 * rows + 2 * columns + 3 * mix
        total += pixels * (forward + train * backward)
    return total
