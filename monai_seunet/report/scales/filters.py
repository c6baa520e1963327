"""Figure of multi-scale filters (Figure 4 of the SEUNet paper)."""

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
    """Return the strongest filters of a layer, at most one for each output channel.

    Args:
        banks: dense filter bank of S tensors (O, I, k, k), with an odd k that can differ between scale groups.
        count: largest number of filters.

    Returns:
        Tensors (S, K, K) with the largest k as K; smaller filters are padded with zeros.
    """
    window = max(bank.shape[-1] for bank in banks)
    padded = [functional.pad(bank.detach(), [(window - bank.shape[-1]) // 2] * 4) for bank in banks]
    filters = torch.stack(padded, 2)  # (O, I, S, K, K)
    energy = filters.square().sum((2, 3, 4))
    strength, inputs = energy.max(1)
    outputs = strength.argsort(descending=True)[:count]
    return [filters[output, inputs[output]] for output in outputs.tolist()]


def draw_filters(filters: Sequence[torch.Tensor], sigmas: Sequence[float] | None = None, title: str = "") -> Figure:
    """Draw multi-scale filters, with one row for each filter and one column for each scale group.

    Every filter has its own colour range, symmetric about zero, because wider filters have lower values.

    Args:
        filters: filters (S, k, k), each at S scales in a common window.
        sigmas: sigma of each scale, the headings of the columns; None numbers them.
        title: title of the figure.

    Raises:
        ValueError: the shape of a filter or the number of sigmas is wrong.
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
