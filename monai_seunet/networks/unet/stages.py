"""What a resolution of a network computes, beside plain filters one after the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from monai_seunet.networks.unet.parts import ConvNormAct


class ResidualStage(nn.Module):
    """Two filters beside a shortcut: act(norm(f2(act(norm(f1 x)))) + shortcut x) (He et al., 2016).

    Shapes: (B, C, H, W) -> (B, D, H, W).

    Args:
        first: the first filter with norm and nonlinearity, C -> D.
        second: the second filter and its norm, D -> D, without nonlinearity.
        shortcut: C -> D, the identity where the two are equal.
        activation: the nonlinearity of the sum.
    """

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.shortcut, self.activation = first, second, shortcut, activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter x."""
        return self.activation(self.second(self.first(x)) + self.shortcut(x))


class DenseStage(nn.Module):
    """Filters that each see what all before them saw and made, and a transition (Huang et al., 2017).

    Shapes: (B, C, H, W) -> (B, D, H, W).

    Args:
        in_channels: C.
        layers: filters in the stage.
        growth: channels that each of them adds.
        make_layer: (in_channels, out_channels) -> filter with norm and nonlinearity.
        join: joins the channels of two maps.
        transition: in_channels -> the last layer, C + layers * growth -> D.
    """

    def __init__(
        self,
        in_channels: int,
        layers: int,
        growth: int,
        make_layer: Callable[[int, int], ConvNormAct],
        join: nn.Module,
        transition: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make_layer(in_channels + n * growth, growth) for n in range(layers))
        self.join = join
        self.transition = transition(in_channels + layers * growth)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter x."""
        for layer in self.layers:
            x = self.join(x, layer(x))
        return self.transition(x)
