"""Images for the stain tests: H&E made by the Beer–Lambert law from known stains, and images that hold no stains."""

import numpy as np
import torch
from repository import CONFIGS

# Unlike the stains that the search starts from and those of the bundle's target.
STAINS = torch.tensor([[0.60, 0.72, 0.35], [0.20, 0.93, 0.31]], dtype=torch.float64)
STAINS = STAINS / torch.linalg.vector_norm(STAINS, dim=1, keepdim=True)
BUNDLE_TARGET = CONFIGS / "stain_target.json"


def make_he(size: int = 96, stains: torch.Tensor = STAINS, seed: int = 0) -> torch.Tensor:
    """(3, size, size) uint8: a fifth glass, eosin of varying strength, and nuclei that are mostly haematoxylin."""
    random = torch.Generator().manual_seed(seed)
    eosin, haematoxylin, kind = torch.rand(3, size, size, generator=random, dtype=torch.float64)
    nucleus, glass = kind < 0.3, kind > 0.8
    haematoxylin = torch.where(nucleus, 0.6 + 1.2 * haematoxylin, 0.02 * haematoxylin)
    eosin = torch.where(nucleus, 0.1 * eosin, 0.3 + 0.7 * eosin)
    amount = torch.where(glass, torch.zeros(()), torch.stack([haematoxylin, eosin]))
    return torch.einsum("sc,shw->chw", stains, amount).neg().exp().mul(255).round().to(torch.uint8)


def degrees_apart(first: object, second: object) -> float:
    """The larger of the angles between the rows of two stain matrices."""
    one, two = (np.asarray(rows) / np.linalg.norm(np.asarray(rows), axis=1, keepdims=True) for rows in (first, second))
    return float(np.degrees(np.arccos(np.minimum(1, (one * two).sum(1)))).max())


def _solid(*colour: int, size: int = 64) -> torch.Tensor:
    return torch.tensor(colour, dtype=torch.uint8).reshape(3, 1, 1).repeat(1, size, size)


def _nearly_empty() -> torch.Tensor:
    image = _solid(245, 244, 246)
    image[:, :6, :6] = make_he(6)
    return image


def _grey() -> torch.Tensor:
    levels = torch.randint(20, 250, (1, 64, 64), generator=torch.Generator().manual_seed(0))
    return levels.to(torch.uint8).repeat(3, 1, 1)


DEGENERATE = {
    "white": _solid(255, 255, 255),
    "glass": _solid(243, 241, 244),
    "black": _solid(0, 0, 0),
    "flat pink": _solid(220, 150, 190),
    "flat grey": _solid(90, 90, 90),
    "grey levels": _grey(),
    "nearly empty": _nearly_empty(),
    "one pixel": _solid(120, 60, 140, size=1),
    "one row": make_he(96)[:, :1],
}
