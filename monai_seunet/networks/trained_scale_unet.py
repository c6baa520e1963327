"""U-Nets with scale groups whose sigmas are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class TrainedScaleUNet(ScaleUNet):
    """A U-Net with scale groups and trained sigmas."""

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return sigma (S,) by layer, in pixels of the layer's level for the image itself."""
        return self._by_octave(lambda layer: layer.sigma().detach())

    def sigma_bounds(self) -> dict[str, torch.Tensor]:
        """Return the ranges of sigma (S, 2) by layer, lower and upper, in the same pixels."""
        return self._by_octave(lambda layer: layer.sigma.bounds)

    def _by_octave(self, values: Callable[[ScaleConv2d], torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the values of every layer for all octaves; they double from octave to octave."""
        by_layer = {}
        for name, layer in self.scale_layers().items():
            if isinstance(layer, ScaleConv2d):
                by_layer[name] = torch.cat([values(layer) * 2.0**octave for octave in self.octaves])
        for other in cast(Iterable[TrainedScaleUNet], self.others):
            by_layer = {name: torch.cat([by_layer[name], others]) for name, others in other._by_octave(values).items()}
        return by_layer
