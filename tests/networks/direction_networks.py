"""Small networks with directions, their weights drawn at random."""

import torch
from torch import nn

from monai_seunet.networks import PlainUNet, PyramidUNet, RotoScaleUNet, SEUNet
from monai_seunet.networks.layers.rotation.point_group import PointGroup
from monai_seunet.networks.unet.skeleton import UNetSkeleton

CLASSES = 3
OCTAVES = {"num_octaves": 2, "scales_per_octave": 2}
ROTO = {"num_levels": 2, "num_octaves": 3, "scales_per_octave": 1}
KINDS = {
    "seunet": (SEUNet, {**OCTAVES, "width": 12, "num_levels": 3}),
    "doubled image": (SEUNet, {**OCTAVES, "width": 8, "num_levels": 2, "finest_octave": -1}),
    "p4": (RotoScaleUNet, {**ROTO, "width": 3 * 8, "group": "p4"}),
    "p4m": (RotoScaleUNet, {**ROTO, "width": 3 * 16, "group": "p4m", "group_pooling": "mean"}),
    "pyramid": (PyramidUNet, {"width": 4, "num_levels": 3, "num_octaves": 2}),
    "plain": (PlainUNet, {"width": 6, "num_levels": 3}),
}


def drawn(name: str, **options: object) -> UNetSkeleton:
    """A network in float64 and in evaluation mode, its weights and the statistics of its norms drawn at random."""
    kind, usual = KINDS[name]
    net = kind(**({"out_channels": CLASSES, "directions": True} | usual | options)).double()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.2, 0.5)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.1, 0.8)
    return net.eval()


def turned(symmetries: PointGroup, g: int, vectors: torch.Tensor) -> torch.Tensor:
    """An image of vectors (..., 2, H, W) by element g: its pixels move, and its vectors turn with them."""
    matrix = torch.tensor(symmetries.matrix(g), dtype=vectors.dtype)
    return torch.einsum("ij,...jhw->...ihw", matrix, symmetries.act(g, vectors))
