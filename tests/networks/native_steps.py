"""Training steps by the native kernels and in torch, to be compared."""

import copy
from contextlib import nullcontext

import torch
from torch import nn

from monai_seunet.native.library import torch_form
from monai_seunet.networks import SEUNet


def varied(net: SEUNet) -> SEUNet:
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.4)
            if hasattr(module, "raw"):
                module.raw.add_(torch.empty_like(module.raw).uniform_(-0.5, 0.5))
    return net.train()


def loss_of(outputs: torch.Tensor) -> torch.Tensor:
    weights = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs.dtype)
    return (outputs * weights).sum() + (outputs.square() * weights.abs()).mean()


def step(net: SEUNet, x: torch.Tensor, natively: bool) -> dict[str, torch.Tensor]:
    """The outputs, of classes and of directions, all gradients and all running statistics of one step."""
    with nullcontext() if natively else torch_form():
        outputs = net.all_outputs(x)
    nodes = [outputs.grad_fn]
    while nodes and nodes[-1].name() != "_TrainBackward":
        nodes += [following for following, _ in nodes.pop().next_functions if following]
    assert bool(nodes) == natively
    loss_of(outputs).backward()
    found = {name: parameter.grad for name, parameter in net.named_parameters() if parameter.grad is not None}
    found |= {name: buffer.clone() for name, buffer in net.named_buffers() if "running" in name or "tracked" in name}
    classes, directions = outputs.detach().tensor_split([net.out_channels], dim=2)
    return found | {"classes": classes} | ({"directions": directions} if net.directions else {})


def errors(found: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> dict[str, float]:
    """The largest difference of each, relative to its largest value.

    Values that are below a hundredth of those of all of its kind (the last part of its name) are small by cancellation:
    they are measured by that hundredth.
    """
    assert found.keys() == reference.keys()
    largest = {name: max(1e-12, float(values.abs().max())) for name, values in reference.items()}
    kinds: dict[str, float] = {}
    for name, value in largest.items():
        kinds[name.split(".")[-1]] = max(kinds.get(name.split(".")[-1], 0), value)
    scale = {name: max(value, 0.01 * kinds[name.split(".")[-1]]) for name, value in largest.items()}
    return {name: float((found[name].double() - reference[name]).abs().max()) / scale[name] for name in reference}


def assert_native_step(net: SEUNet, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The native step is as near to the torch form in float64 as the torch form in float32 is, or nearer than 1e-5.

    Returns the step in float64.
    """
    reference = step(copy.deepcopy(net).double(), x.double(), natively=False)
    in_torch = errors(step(copy.deepcopy(net), x, natively=False), reference)
    for name, error in errors(step(copy.deepcopy(net), x, natively=True), reference).items():
        assert error < max(1e-5, 4 * in_torch[name]), f"{name}: {error:.2g}, in torch {in_torch[name]:.2g}"
    return reference
