"""Networks for the native kernels, and what they give by them and in torch."""

import copy
import random

import torch
from torch import nn

from monai_seunet.native.library import torch_form
from monai_seunet.networks import RotoScaleUNet, SEUNet
from monai_seunet.networks.compiled.network import NativeNetwork, native_network
from monai_seunet.networks.scale_unet import ScaleUNet


def lively(net: ScaleUNet) -> ScaleUNet:
    """In evaluation mode, with the statistics of an image in its norms, so no layer is silent."""
    norms = [norm for norm in net.modules() if isinstance(norm, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(0, 0.5)
            norm.momentum = 1.0
        side = max(64, net.least_side())
        net.train()(torch.randn(2, net.in_channels, side, side))
    return net.eval()


def in_torch(net: ScaleUNet, x: torch.Tensor, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The heads by the torch form; in float64 it is the reference."""
    with torch.no_grad(), torch_form():
        return copy.deepcopy(net).to(dtype).heads(x.to(dtype))


def served(net: ScaleUNet, x: torch.Tensor) -> NativeNetwork | None:
    return native_network(net, net.octaves, x)


def natively(net: ScaleUNet, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        assert served(net, x) is not None
        return net.heads(x)


def relative_error(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y - reference).abs().max() / (reference - reference.mean()).abs().max())


NETWORKS = {
    "default": {"width": 10},
    "separate norms": {"width": 9, "scales_per_octave": 3, "shared_norm": False, "num_levels": 3},
    "octaves": {"width": 12, "num_octaves": 3, "scales_per_octave": 2, "num_levels": 3},
    "doubled image": {"width": 8, "num_octaves": 2, "scales_per_octave": 2, "finest_octave": -1, "num_levels": 3},
    "one level": {"width": 4, "num_levels": 1, "scales_per_octave": 2},
    "three classes": {"width": 5, "out_channels": 3, "in_channels": 1, "num_levels": 2},
    "paper's ranges": {"width": 10, "sigma_ranges": "paper", "num_levels": 3},
}


ROTO_NETWORKS = {
    "p4": {"width": 24, "num_levels": 3, "scales_per_octave": 2, "group": "p4"},
    "p4m": {"width": 48, "num_levels": 3, "num_octaves": 2, "scales_per_octave": 1, "group": "p4m"},
    "p4m, mean": {"width": 16, "num_levels": 2, "scales_per_octave": 2, "group_pooling": "mean"},
    "p4, one level": {"width": 8, "num_levels": 1, "scales_per_octave": 2, "group": "p4", "out_channels": 3},
}


def made(name: str) -> ScaleUNet:
    return lively(SEUNet(**NETWORKS[name]) if name in NETWORKS else RotoScaleUNet(**ROTO_NETWORKS[name]))


def any_network(draw: random.Random) -> tuple[SEUNet, int]:
    """A network of any number of groups, channels and levels, with kernels of any size, and its width."""
    groups, levels = draw.randint(1, 8), draw.choice((1, 1, 2, 3))
    width = groups * draw.choice((1, 2, 3, 4, 5, 6, 7, 11, 13, 130 // groups if levels == 1 else 12))
    bounds = [sorted((s, s + 0.01) for s in (draw.uniform(0.4, 10) for _ in range(groups)))] * levels
    return SEUNet(draw.randint(1, 4), draw.randint(2, 5), width, levels, 1, groups, sigma_ranges=bounds), width
