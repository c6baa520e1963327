"""Maps of a tile: foreground, directions and deciding scale groups, from the network in ordinary form."""

from __future__ import annotations

import warnings
from typing import Any, cast

import torch
from torch import nn

from monai_seunet.fusion import fuse, fuse_directions, group_weights, winning_scale
from monai_seunet.networks.layers.sampling import mirrored
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.ordinary import OrdinaryNetwork
from monai_seunet.slides.nuclei.areas import CERTAIN
from monai_seunet.slides.nuclei.direct import ONE


class NucleusMaps(nn.Module):
    """Maps of a network with directions, rounded as those of slides.

    Shapes: x (B, C, H, W), any H and W -> foreground (B, H, W) int64 from 0 to 255, directions (B, 2, H, W) float32 of
    whole numbers from -127 to 127, and deciding scale groups (B, H, W) int64 from 0.

    Args:
        network: network with directions in evaluation mode; it is not changed.
        fusion: strategy that fuses the scale groups.
    """

    def __init__(self, network: Network, fusion: str) -> None:
        super().__init__()
        self.network = OrdinaryNetwork(network)
        # with one group every strategy returns that group; the mean is the cheapest
        self.fusion = fusion if self.network.grouped else "arithmetic"

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Foreground, directions and deciding groups."""
        height, width = x.shape[-2], x.shape[-1]
        # a slide is mirrored at its lower and right border alone; the network would pad on all sides
        x = mirrored(x, -2, 0, -height % self.network.stride)
        x = mirrored(x, -1, 0, -width % self.network.stride)
        outputs = self.network(x).float()[..., :height, :width]
        groups = outputs if self.network.grouped else outputs.unsqueeze(1)
        classes = groups.shape[2] - self.network.direction_channels
        probabilities = groups[:, :, :classes].softmax(dim=2)
        weights = group_weights(probabilities, self.fusion)
        fused = fuse(probabilities, self.fusion, weights)[:, 1:]
        foreground = (fused * CERTAIN).round().sum(1).clamp(max=CERTAIN).long()
        directions = fuse_directions(groups[:, :, classes:], probabilities, weights)
        return (
            foreground,
            (directions.clamp(-1, 1) * ONE).round(),
            winning_scale(probabilities, self.fusion, weights)[:, 0],
        )


def trace_maps(maps: NucleusMaps) -> torch.jit.ScriptModule:
    """Trace maps to TorchScript, for images of any size."""
    side = 2 * int(maps.network.stride)
    image = torch.rand(1, int(maps.network.in_channels), side, side)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; no branch depends on the size of the image
        traced = cast(torch.jit.ScriptModule, torch.jit.trace(maps.eval(), image, check_trace=False))
    graph: Any = traced.graph
    for node in graph.findAllNodes("prim::Constant"):
        if node.hasAttribute("value") and node.kindOf("value") == "t" and node.t("value").dtype == torch.float64:
            node.t_("value", node.t("value").float())  # a number of Python; Apple's GPUs have no float64
    return traced
