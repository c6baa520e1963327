"""The same filter at every scale (the SEUNet paper's Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from monai_seunet.drawing.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def strongest_filters(banks: Sequence[torch.Tensor], count: int = 4) -> list[torch.Tensor]:
    """Choose filters of a layer to draw: of every output channel the strongest one, and of those the strongest.

    Args:
        banks: dense filter bank, S tensors (O, I, k, k), the k of every scale group odd and its own.
        count: filters wanted; fewer where the layer has fewer outputs.

    Returns:
        `count` tensors (S, K, K), K the largest k; smaller filters stand in the middle of zeros.
    """
    window = max(bank.shape[-1] for bank in banks)
    framed = [functional.pad(bank.detach(), [(window - bank.shape[-1]) // 2] * 4) for bank in banks]
    filters = torch.stack(framed, 2)  # (O, I, S, K, K)
    energy = filters.square().sum((2, 3, 4))
    strength, inputs = energy.max(1)
    outputs = strength.argsort(descending=True)[:count]
    return [filters[output, inputs[output]] for output in outputs.tolist()]


def draw_filters(filters: Sequence[torch.Tensor], sigmas: Sequence[float] | None = None, title: str = "") -> Figure:
    """Draw multi-scale filters: one row per filter, one column per scale group, all pixels of one size.

    Every filter has its own colour range, symmetric about zero, since a wider filter is a lower one.

    Args:
        filters: each (S, k, k): one filter at S scales in a common window, such as rows of the dense filter bank.
        sigmas: sigma of each scale, written over the columns.
        title: heading.

    Raises:
        ValueError: where a filter is not (S, k, k), or `sigmas` is not one per scale.
    """
    for bank in filters:
        if bank.dim() != 3 or bank.shape[1] != bank.shape[2] or len(bank) != len(filters[0]):
            raise ValueError(f"a multi-scale filter has shape {list(bank.shape)}; (S, k, k) is expected, S the same")
    scales = len(filters[0])
    if sigmas is not None and len(sigmas) != scales:
        raise ValueError(f"{len(sigmas)} sigmas are given for {scales} scales")
    figure = new_figure(1.2 * scales + 0.3, 1.2 * len(filters) + 0.4)
    grid = figure.subplots(len(filters), scales, squeeze=False)
    for row, bank in zip(grid, filters, strict=True):
        for k, (axes, kernel) in enumerate(zip(row, bank.detach().cpu().double().numpy(), strict=True)):
            limit = np.abs(kernel).max() or 1.0
            axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            if axes in grid[0]:
                axes.set_title(f"σ = {sigmas[k]:.2f}" if sigmas is not None else f"group {k + 1}", fontsize=9)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    return figure
