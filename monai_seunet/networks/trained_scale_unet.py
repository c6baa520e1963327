"""U-Nets with scale groups whose sigmas are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch

from monai_seunet.networks.layers.gaussian.scale_conv import ScaleConv2d
from monai_seunet.networks.scale_unet import ScaleUNet


class TrainedScaleUNet(ScaleUNet):
    """A U-Net with scale groups whose sigmas are trained, and can be asked for."""

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Sigma of every layer and scale group, (S,) each, in pixels of the layer's level of the image itself."""
        return self._by_octave(lambda layer: layer.sigma().detach())

    def sigma_bounds(self) -> dict[str, torch.Tensor]:
        """Range (lower, upper) of every layer and scale group, (S, 2) each, in the same pixels."""
        return self._by_octave(lambda layer: layer.sigma.bounds)

    def _by_octave(self, values: Callable[[ScaleConv2d], torch.Tensor]) -> dict[str, torch.Tensor]:
        """What every layer has for its groups, at all octaves: twice as large at each."""
        found = {}
        for name, layer in self.scale_layers().items():
            if isinstance(layer, ScaleConv2d):
                found[name] = torch.cat([values(layer) * 2.0**octave for octave in self.octaves])
        for other in cast(Iterable[TrainedScaleUNet], self.others):
            found = {name: torch.cat([found[name], more]) for name, more in other._by_octave(values).items()}
        return found
