"""Normalisation of stains, in operations that TorchScript takes."""

from __future__ import annotations

import torch
from torch import nn

from monai_seunet.transforms.stain.extractors import TYPICAL_STAINS, Vahadane
from monai_seunet.transforms.stain.fit import MIN_TISSUE_PIXELS
from monai_seunet.transforms.stain.functional import non_negative, tissue_mask
from monai_seunet.transforms.stain.profile import MIN_ANGLE, MIN_CONCENTRATION, StainProfile


class StainNormalization(nn.Module):
    """Fits the stains of a tile, and replaces them by those of a target, as `fit_profile` and `transfer_stains` do.

    Shapes: rgb (3, H, W) float, whole numbers from 0 to 255 -> the same.
    Invariant: a tile without enough tissue, or without two stains, is returned as it is.
    ONNX has no histogram of a varying length, so `TileStainNormalization` fits a sample there. Its colours differ by a
    level, which changes a quarter of the nuclei of some images, so this module has the exact fit.

    Args:
        target: profile of the target; the source is fitted with its penalty and percentile.
    """

    def __init__(self, target: StainProfile) -> None:
        super().__init__()
        fit = Vahadane()
        # Lists, because clients move tensors to their device, and the stains are fitted on the CPU in float64.
        self.target: list[list[float]] = [list(row) for row in target.matrix]
        self.strength: list[float] = list(target.max_concentrations)
        self.start: list[list[float]] = [list(row) for row in TYPICAL_STAINS]
        bits = fit.bits or 8
        self.step, self.cells, self.percentile = 1 << (8 - bits), 1 << bits, target.percentile
        self.rounds, self.tolerance = fit.max_iterations, fit.tolerance
        self.least_pixels, self.least_strength = MIN_TISSUE_PIXELS, MIN_CONCENTRATION
        self.least_chord = 0.0175 * MIN_ANGLE
        self.fit_penalty, self.penalty = fit.penalty, target.penalty

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        """Return the tile with the stains of the target."""
        density, counts = self._colours(rgb)
        if float(counts.sum()) < self.least_pixels:
            return rgb
        matrix = self._stains(density, counts)
        strength = self._strength(non_negative(density, matrix, self.penalty), counts)
        if float((matrix[0] - matrix[1]).square().sum().sqrt()) < self.least_chord:
            return rgb
        if float(strength.min()) <= self.least_strength:
            return rgb
        gain = (torch.tensor(self.strength, dtype=torch.float64) / strength).unsqueeze(1)
        target = torch.tensor(self.target, dtype=torch.float64)
        amount = non_negative(_density(rgb.flatten(1)), matrix.float(), self.penalty)
        mixed = ((target * gain).T.float() @ amount).neg().exp()
        return (mixed.clamp(0, 1) * 255).round().view_as(rgb)

    def _colours(self, rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean optical densities (3, P) and the numbers of pixels (P,) of the tissue colours."""
        levels = torch.div(rgb.flatten(1), self.step, rounding_mode="floor").long()
        cell = (levels[0] * self.cells + levels[1]) * self.cells + levels[2]
        density = _density(rgb.flatten(1))
        counts = torch.bincount(cell).double()
        sums = torch.stack([torch.bincount(cell, channel.double()) for channel in density.unbind(0)])
        used = counts.nonzero().squeeze(1)
        lowest = torch.stack([used // (self.cells * self.cells), used // self.cells, used]) % self.cells * self.step
        used = used[tissue_mask((lowest.double() + (self.step - 1) / 2) / 255)]
        return sums[:, used] / counts[used], counts[used]

    def _stains(self, density: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Factorise the densities as `Vahadane` does."""
        share = counts / counts.sum()
        matrix = _unit_rows(torch.tensor(self.start, dtype=torch.float64))
        for _ in range(self.rounds):
            amount = non_negative(density, matrix, self.fit_penalty)
            weighted = amount * share
            gram, moment = weighted @ amount.T, weighted @ density.T
            updated = matrix.clone()
            for stain in range(2):
                if float(gram[stain, stain]) > 1e-12:
                    row = updated[stain] + (moment[stain] - gram[stain] @ updated) / gram[stain, stain]
                    row = row.relu()
                    updated[stain] = row / row.square().sum().sqrt().clamp(min=1.0)
            change = float((updated - matrix).abs().max())
            matrix = updated
            if change < self.tolerance:
                break
        matrix = _unit_rows(matrix)
        return matrix if float(matrix[0, 0]) >= float(matrix[1, 0]) else matrix.flip(0)

    def _strength(self, amount: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Return the percentile of the concentrations of each stain, weighted by the numbers of pixels."""
        ordered, order = amount.sort(1)
        covered = counts[order].cumsum(1)
        rank = (covered < self.percentile / 100 * covered[:, -1:]).sum(1, keepdim=True)
        return ordered.gather(1, rank.clamp(max=amount.shape[1] - 1)).squeeze(1)


def _density(rgb: torch.Tensor) -> torch.Tensor:
    """Return the optical density of intensities from 0 to 255."""
    return (rgb / 255).clamp(min=1 / 255).log().neg()


def _unit_rows(matrix: torch.Tensor) -> torch.Tensor:
    return matrix / matrix.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)
