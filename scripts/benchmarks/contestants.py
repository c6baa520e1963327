"""Networks of the benchmark of SEUNet, and their forward passes and training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# The native kernels run SEUNet, octaves (two groups at each of four octaves, as wide as those of SEUNet) and roto
# (RotoScaleUNet of twice the width, in eight orientations). `in torch` runs without them, and `by v3` runs the kernels
# of another processor. Dense is the filter bank of the SEUNet paper in one grouped convolution; in `by group`, each
# group has a convolution of its size. The forward pass uses folded networks.
ON_ONE_THREAD = "seunet on 1 thread"
QUICK = ("plain", "seunet", "seunet in torch", "octaves")
MORE = ("octaves in torch", "recompute", "roto", "roto in torch")
SLOW = ("dense", "dense by group")
ONLY_FORWARD, ONLY_STEP = ("roto in torch",), ("recompute",)  # otherwise they are equal to `roto` and `seunet`


class Case(NamedTuple):
    """A batch of square images, and the number of torch threads."""

    size: int
    batch: int
    threads: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.size} x {self.size}, {self.threads} thread{'s'[: self.threads > 1]}"


def build(name: str, width: int):
    """Build the network of a name."""
    import torch

    from monai_seunet import PlainUNet, RotoScaleUNet, SEUNet

    torch.manual_seed(0)
    if name == "plain":
        return PlainUNet(width=width).to(memory_format=torch.channels_last)
    if name.startswith("octaves"):
        return SEUNet(width=width // 5 * 8, num_octaves=4, scales_per_octave=2)
    if name.startswith("roto"):
        return RotoScaleUNet(width=2 * width)
    net = SEUNet(width=width, recompute=name == "recompute")
    return make_dense(net, by_group=name == "dense by group") if name in SLOW else net


def make_dense(net, by_group: bool):
    """Replace every scale convolution of a network by one of its dense forms; return the network."""
    import torch

    from monai_seunet.networks.unet.parts import ConvNormAct

    class Dense(torch.nn.Module):
        """A scale convolution in a dense form."""

        def __init__(self, conv: torch.nn.Module) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv.forward_dense(x) if by_group else self.conv.forward_filter_bank(x)

    for block in net.modules():
        if isinstance(block, ConvNormAct):
            block.conv = Dense(block.conv)
    return net


def make_run(
    net, size: int, batch: int, train: bool, form: str = "", device: str = "cpu", amp=None
) -> Callable[[], None]:
    """Return a forward pass or a training step of a network.

    Args:
        net: network on the device.
        size: side of the square images.
        batch: number of images.
        train: whether to return a training step.
        form: variant of the kernels, or `off`.
        device: device of the images.
        amp: torch type of the automatic mixed precision, or None.
    """
    import torch
    from torch.nn import functional as F

    from monai_seunet.native.library import variant

    net.train(train)
    x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last).to(device)
    label = torch.randint(2, (batch, size, size)).to(device)
    kind = torch.device(device).type

    def forward() -> None:
        with torch.no_grad(), variant(form), torch.autocast(kind, dtype=amp, enabled=amp is not None):
            net(x)

    optimizer = torch.optim.Adam(net.parameters(), fused=True) if train else None

    def step() -> None:
        optimizer.zero_grad()
        with variant(form), torch.autocast(kind, dtype=amp, enabled=amp is not None):
            logits = net(x)
        heads = logits.unbind(1) if logits.dim() == 5 else [logits]
        sum(F.cross_entropy(head, label) for head in heads).backward()
        optimizer.step()

    return step if train else forward


def contestant(name: str, width: int, case: Case, train: bool) -> Callable[[], None]:
    """Return the timed function of a network: a training step, or the forward pass of its folded form."""
    import torch

    net = build(name, width)
    if not train and name not in SLOW:
        net = net.folded()
        net = net.to(memory_format=torch.channels_last) if name == "plain" else net
    _, _, variant = name.partition(" by ")
    form = "off" if name.endswith("in torch") or name in (*SLOW, *ONLY_STEP) else variant
    run = make_run(net, case.size, case.batch, train, form)

    def on_one_thread() -> None:
        torch.set_num_threads(1)
        run()
        torch.set_num_threads(case.threads)

    return on_one_thread if name == ON_ONE_THREAD else run
