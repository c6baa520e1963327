"""The whole segmentation of a tile as one module that TorchScript takes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from monai_seunet.export.scripted.grouping import NucleusGrouping
from monai_seunet.export.scripted.stains import StainNormalization

# Red, green and blue of the percentiles 0.1 and 99.9 of typical H&E images, to undo a scaling by the percentiles of a
# region. The darkest ones differ most between images; these came nearest to the nuclei of the original pixels.
DARKEST = (75.0, 55.0, 95.0)
WHITEST = (245.0, 240.0, 245.0)
SCALED = 8.0  # largest value of a tile above which its values are intensities that were not scaled
LEAST_DEVIATION = 0.05  # of a grey tile; images have 0.06 to 0.2 after that scaling, so less is an empty tile


class NucleusModel(nn.Module):
    """Numbered nuclei of tiles, in the form that QuPath's InstanSeg extension and instanseg-torch call.

    Shapes: x (B, C, H, W) float -> labels (B, 1, H, W) float32 from 1, and a table (B, K, V) float32: confidence and,
    with scale groups, deciding group, of the nucleus with label k in row k - 1. A tile without nuclei has one row of
    zeros. Callers that name two targets (nuclei and cells) in `target_segmentation`, as instanseg-torch does, get the
    labels without the table.
    Values of x are either intensities, or scaled so that 0 and 1 are low and high percentiles of each channel of a
    region.

    Args:
        name: name of the model, for messages.
        channels: number of channels.
        maps: traced maps, see `trace_maps`.
        grouping: grouping of the pixels.
        stains: normalisation of the stains; None keeps the colours.
        standardise: True for mean 0 and standard deviation 1 over a tile; False for values / 255.
        pixel_size: µm per pixel for which the clients resample images.
    """

    def __init__(
        self,
        name: str,
        channels: int,
        maps: torch.jit.ScriptModule,
        grouping: NucleusGrouping,
        stains: StainNormalization | None,
        standardise: bool,
        pixel_size: float,
    ) -> None:
        super().__init__()
        self.name, self.channels, self.standardise = name, channels, standardise
        self.pixel_size, self.cells_and_nuclei = float(pixel_size), False
        self.maps, self.grouping, self.normalises = maps, grouping, stains is not None
        self.stains: nn.Module = nn.Identity() if stains is None else stains
        self.num_scales = grouping.num_scales
        self.scaled, self.least_deviation = SCALED, LEAST_DEVIATION
        self.darkest: list[float] = list(DARKEST)  # no buffers: clients move those to their device
        self.whitest: list[float] = list(WHITEST)

    def forward(
        self,
        x: torch.Tensor,
        args: Any = None,
        target_segmentation: Any = None,
        min_size: int | None = None,
    ) -> Any:
        """Label the nuclei.

        Args:
            x: tiles.
            args: optional arguments by name, as tensors; `min_size` alone has a meaning.
            target_segmentation: which outputs are wanted.
            min_size: least area of a nucleus in pixels, in place of a share of the area of the nuclei around.

        Raises:
            ValueError: the number of channels is another one, or an argument has no meaning for the model.
        """
        least_area, labels_alone = -1.0 if min_size is None else float(min_size), False
        for given in [args, target_segmentation]:  # the order depends on the client
            if isinstance(given, torch.Tensor):
                labels_alone = labels_alone or given.numel() > 1
            if torch.jit.isinstance(given, dict[str, torch.Tensor]):
                for key, value in given.items():
                    if key == "min_size":
                        least_area = float(value.item())
                    elif key != "target_segmentation":
                        raise ValueError("the model takes the arguments min_size and target_segmentation, not " + key)
        if x.dim() != 4 or x.shape[1] != self.channels:
            raise ValueError(
                f"model {self.name} takes images of {self.channels} channel(s), (B, {self.channels}, H, W), and got "
                f"{x.shape}; choose the channels"
            )
        with torch.no_grad():
            prepared = torch.stack([self._prepared(tile) for tile in x.unbind(0)])
            foreground, directions, groups = self.maps(prepared.to(x.device))
            foreground, directions, groups = foreground.cpu(), directions.cpu(), groups.cpu()  # float64 is needed
            labels: list[torch.Tensor] = []
            tables: list[torch.Tensor] = []
            most = 1
            for n in range(x.shape[0]):
                label, table = self.grouping(foreground[n], directions[n], groups[n], least_area)
                labels.append(label.float())
                tables.append(table if self.num_scales > 1 else table[:, :1])
                most = max(most, table.shape[0])
            stacked = torch.stack(labels).unsqueeze(1).to(x.device)
            if labels_alone:
                return stacked
            padded = [nn.functional.pad(table, [0, 0, 0, most - table.shape[0]]) for table in tables]
            return stacked, torch.stack(padded).to(x.device)

    def _prepared(self, tile: torch.Tensor) -> torch.Tensor:
        """Prepare a tile (C, H, W) for the network, on the CPU."""
        tile = tile.cpu().float().nan_to_num(0.0)
        intensities = float(tile.max()) > self.scaled
        if self.normalises:
            rgb = tile if intensities else self._unscaled(tile)
            tile = self.stains(rgb.clamp(0, 255).round())
        elif not intensities and not self.standardise:
            tile = self._unscaled(tile)
        if not self.standardise:
            return tile / 255
        deviation = tile.std(correction=0)
        if not intensities:
            deviation = deviation.clamp(min=self.least_deviation)
        return (tile - tile.mean()) / torch.where(deviation > 0, deviation, torch.ones_like(deviation))

    def _unscaled(self, tile: torch.Tensor) -> torch.Tensor:
        """Return plausible intensities of a tile that was scaled by percentiles."""
        if self.channels != 3:
            return tile * 255
        low, high = torch.tensor(self.darkest).view(3, 1, 1), torch.tensor(self.whitest).view(3, 1, 1)
        return low + tile * (high - low)
