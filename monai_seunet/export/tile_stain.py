"""Stain normalisation inside an exported network, in operations that TorchScript and ONNX both have."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn import functional as F

from monai_seunet.transforms.stain.extractors import TYPICAL_STAINS, Vahadane
from monai_seunet.transforms.stain.fit import MIN_TISSUE_PIXELS
from monai_seunet.transforms.stain.functional import tissue_mask
from monai_seunet.transforms.stain.profile import MIN_ANGLE, MIN_CONCENTRATION, StainProfile

SAMPLE = 4  # every fourth pixel of every fourth row takes part in the fit
ITERATIONS = 50  # of the fit; its result then changes by less than 0.1 degrees for H&E
PERCENTILE = 0.99


class TileStainNormalization(nn.Module):
    """`StainNormalize` of every image of a batch by its own stains, without branches and loops of a varying length.

    Shapes: (B, 3, H, W) float in [0, 1] -> the same; values outside are clamped.
    Invariant: an image without enough tissue or without two stains is returned as it is.
    Limits: the fit takes a sixteenth of the pixels and a fixed number of iterations. Stains differ by up to one degree
        from those of `fit_profile`. Tiles of one slide get slightly different colours.

    Args:
        target: stains of the result.
    """

    target: torch.Tensor
    largest: torch.Tensor
    start: torch.Tensor

    def __init__(self, target: StainProfile) -> None:
        super().__init__()
        stains, largest = (tensor.float() for tensor in target.tensors())
        self.penalty, self.fit_penalty = target.penalty, Vahadane().penalty
        self.register_buffer("target", stains.T)  # (3, 2)
        self.register_buffer("largest", largest.view(1, 2, 1))
        self.register_buffer("start", F.normalize(torch.tensor(TYPICAL_STAINS), dim=1)[None])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is deprecated, but both formats are written by it
            self.fit = torch.jit.script(_fit)  # one loop in the file instead of thousands of operations

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Normalise a batch."""
        image = image.clamp(0, 1)
        sample = image[:, :, ::SAMPLE, ::SAMPLE].flatten(2)
        tissue = tissue_mask(sample.transpose(0, 1)).to(image.dtype).unsqueeze(1)  # (B, 1, P)
        count = tissue.sum(2, keepdim=True)
        density = _density(sample)
        start = self.start.expand(image.shape[0], -1, -1)
        stains = self.fit(density, tissue / count.clamp(min=1), start, self.fit_penalty, ITERATIONS)
        amounts = _amounts(density, stains, self.penalty)
        largest = _percentile(amounts, tissue, count)
        gain = self.largest / largest.clamp(min=MIN_CONCENTRATION)
        changed = (self.target @ (gain * _amounts(_density(image.flatten(2)), stains, self.penalty))).neg().exp()
        apart = (stains[:, 0] - stains[:, 1]).square().sum(1).sqrt() >= 0.0175 * MIN_ANGLE  # chord of the angle
        is_valid = apart & (largest.amin((1, 2)) > MIN_CONCENTRATION)
        is_valid = is_valid & (count.flatten() >= MIN_TISSUE_PIXELS / SAMPLE**2)
        return torch.where(is_valid.view(-1, 1, 1, 1), changed.view_as(image), image)


def _density(intensity: torch.Tensor) -> torch.Tensor:
    return intensity.clamp(min=1 / 255).log().neg()


def _amounts(density: torch.Tensor, stains: torch.Tensor, penalty: float) -> torch.Tensor:
    """Return `concentrations` (B, 2, P) of densities (B, 3, P) for stains (B, 2, 3)."""
    norms = stains.square().sum(2, keepdim=True)  # (B, 2, 1)
    overlap = (stains[:, :1] * stains[:, 1:]).sum(2, keepdim=True)  # (B, 1, 1)
    projection = stains @ density - penalty
    determinant = (norms[:, :1] * norms[:, 1:] - overlap.square()).clamp(min=1e-12)
    other = (norms * projection.flip(1) - overlap * projection).relu() / determinant
    return ((projection - overlap * other) / norms.clamp(min=1e-12)).relu()


def _best_row(
    row: torch.Tensor, gram: torch.Tensor, own: torch.Tensor, stains: torch.Tensor, moment: torch.Tensor
) -> torch.Tensor:
    """Return the non-negative optimum (B, 3) of one stain in the unit ball; a stain that no colour has is kept."""
    change = (moment - (gram.unsqueeze(2) * stains).sum(1)) / own.clamp(min=1e-12).unsqueeze(1)
    best = (row + change).relu()
    best = best / best.square().sum(1, keepdim=True).sqrt().clamp(min=1)
    return torch.where(own.unsqueeze(1) > 1e-12, best, row)


def _percentile(amounts: torch.Tensor, tissue: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Return the percentile (B, 2, 1) of the amounts in the tissue."""
    ordered = torch.where(tissue > 0, amounts, -torch.ones_like(amounts)).sort(dim=2, descending=True).values
    index = (count - (PERCENTILE * count).ceil()).clamp(min=0).long()
    return ordered.gather(2, index.expand(-1, 2, -1))


def _fit(
    density: torch.Tensor, share: torch.Tensor, start: torch.Tensor, penalty: float, iterations: int
) -> torch.Tensor:
    """Fit stains (B, 2, 3) to densities (B, 3, P) with shares (B, 1, P), as `Vahadane` does.

    Args:
        density: optical densities of the sample.
        share: share of each pixel; 0 for glass.
        start: initial stains (B, 2, 3).
        penalty: weight of the sum of the concentrations.
        iterations: number of iterations.
    """
    stains = start
    for _ in range(iterations):
        amounts = _amounts(density, stains, penalty)
        weighted = amounts * share
        gram, moment = weighted @ amounts.transpose(1, 2), weighted @ density.transpose(1, 2)
        first = _best_row(stains[:, 0], gram[:, 0], gram[:, 0, 0], stains, moment[:, 0])
        stains = torch.stack([first, stains[:, 1]], 1)
        second = _best_row(stains[:, 1], gram[:, 1], gram[:, 1, 1], stains, moment[:, 1])
        stains = torch.stack([first, second], 1)
    stains = F.normalize(stains, dim=2)
    # haematoxylin is blue and absorbs more red than eosin
    return torch.where((stains[:, 0, 0] >= stains[:, 1, 0]).view(-1, 1, 1), stains, stains.flip(1))
