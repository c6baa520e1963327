"""How long a processor would take for a network at its best: its calculation and its memory traffic (the roofline).

Counted are the products of convolutions, those of scale convolutions in the form that the kernels compute (rows, mix,
columns), and the maps that go in and out of each of them, once. Norms, activations, pooling and the loss are not. It is
a model: maps that stay in a cache cost less than it says, so that a share may come out above one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

FLOAT = 4  # bytes


@dataclass
class Peak:
    """What the processor does at its best: multiply-adds and bytes in a second."""

    macs: float
    bytes: float


def measure_peak(rounds: int = 5) -> Peak:
    """By the largest of several matrix products and copies of memory, on the threads that torch has now."""
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
    """What a layer needs: multiply-adds, and bytes of memory."""

    macs: float
    bytes: float

    def seconds(self, peak: Peak) -> float:
        """The least time: calculation and memory traffic may go on at once."""
        return max(self.macs / peak.macs, self.bytes / peak.bytes)


def least_seconds(net, x, train: bool, peak: Peak) -> float:
    """The least time of a forward pass, or of a training step, of a network on a batch of images."""
    return sum(work.seconds(peak) for work in work_of(net, x, train))


def work_of(net, x, train: bool) -> list[Work]:
    """What every layer of a network needs, forward or for a training step."""
    import torch

    from monai_seunet.native.library import torch_form
    from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d

    found: list[Work] = []

    def count(layer, inputs, output) -> None:
        (inside,) = inputs
        macs = _scale_conv_macs(layer, inside, output, train) if isinstance(layer, ScaleConv2d) else 0
        if not macs:
            taps = layer.kernel_size[0] * layer.kernel_size[1]
            first = inside.shape[1] == x.shape[1]  # which needs no gradient of its input
            macs = output.numel() * inside.shape[1] * taps * (1 + train * (1 if first else 2))
        # in training a layer also reads its input, its output and that one's gradient, and writes the input's
        found.append(Work(macs, FLOAT * (inside.numel() + output.numel()) * (1 + 2 * train)))

    layers = [layer for layer in net.modules() if isinstance(layer, (ScaleConv2d, torch.nn.Conv2d))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad(), torch_form():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def _scale_conv_macs(layer, x, y, train: bool) -> float:
    """Taps at the same distance share a product; in training the rows and the mix are computed once more."""
    outputs, inputs, pixels = y.shape[1], x.shape[1], y.shape[0] // layer.num_scales * y.shape[2] * y.shape[3]
    total = 0.0
    for radius in layer.sigma.radii(layer.truncation):
        taps = 2 * radius + 1
        rows, mix, columns = inputs * taps, 3 * outputs * inputs, outputs * taps
        forward = rows + mix + columns
        # rows again, and their adjoint with that of sigma; the same of columns; mix again, its adjoint and its gradient
        backward = 3 * rows + 2 * columns + 3 * mix
        total += pixels * (forward + train * backward)
    return total
