"""Residual and dense stages for one resolution of a network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from monai_seunet.networks.unet.parts import ConvNormAct


class ResidualStage(nn.Module):
    """Two filters beside a shortcut: act(norm(f2(act(norm(f1 x)))) + shortcut x) (He et al., 2016).

    Shapes: (B, C, H, W) -> (B, D, H, W).

    Args:
        first: first filter with norm and nonlinearity, C -> D.
        second: second filter with norm, without nonlinearity, D -> D.
        shortcut: layer C -> D, the identity if C = D.
        activation: nonlinearity after the sum.
    """

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.first, self.second, self.shortcut, self.activation = first, second, shortcut, activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Filter x."""
        return self.activation(self.second(self.first(x)) + self.shortcut(x))


class DenseStage(nn.Module):
    """Filters with the input and all earlier outputs as their input, and a transition (Huang et al., 2017).

    Shapes: (B, C, H, W) -> (B, D, H, W).

    Args:
        in_channels: number of input channels C.
        layers: number of filters in the stage.
        growth: number of channels that each filter adds.
        make_layer: function of in_channels and out_channels, for filters with norm and nonlinearity.
        join: layer that joins the channels of two maps.
        transition: function of in_channels, for the last layer, C + layers * growth -> D.
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
