"""Blend the windows of two rows into a strip of the result, part by part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from monai_seunet.fusion import fuse, fuse_directions, reach, winning_scale
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.slides.window_row import LEVELS
from monai_seunet.slides.windows import Window, WindowGrid

NOTHING = 255  # winning scale where nothing was computed

ReadWindow = Callable[[Window], np.ndarray]


@dataclass(frozen=True)
class Strip:
    """Lines of the result.

    Attributes:
        probability: (C, height, width) uint8, foreground classes in 255ths.
        scale: (height, width) uint8, the scale group that decided, `NOTHING` where no window was.
        directions: (2, height, width) int8, `ONE` for 1, 0 where no window was; None from a network without.
    """

    probability: np.ndarray
    scale: np.ndarray
    directions: np.ndarray | None = None


def blend_strip(
    grid: WindowGrid,
    row: int,
    windows: Mapping[tuple[int, int], Window],
    read: ReadWindow,
    weights: np.ndarray,
    strategy: str,
    num_classes: int,
    directions: bool = False,
) -> Strip:
    """Average the windows over each pixel of a strip with their weights, fuse the scale groups, and round.

    Law: depends on the windows that were planned and what was read from them, and on nothing else.
    Memory: four windows, and the strip.

    Args:
        grid: of the windows.
        row: of the strip.
        windows: those that were planned, by row and column.
        read: window -> probabilities (S, C, h, w) of the foreground classes in 16 bits, `LEVELS` for 1; with directions
            two channels more, and for `p_conf` one more, the weights of the groups. All are averaged alike.
        weights: (h, w) of a window.
        strategy: of the fusion.
        num_classes: N = C + 1.
        directions: whether the network gives them.
    """
    top, bottom = grid.strip(row)
    probability = np.zeros((num_classes - 1, bottom - top, grid.width), np.uint8)
    scale = np.full((bottom - top, grid.width), NOTHING, np.uint8)
    towards = np.zeros((2, *scale.shape), np.int8) if directions else None
    kept: dict[tuple[int, int], np.ndarray] = {}
    for column in range(grid.columns):
        near = [(r, c) for r in (row - 1, row) for c in (column - 1, column) if (r, c) in windows]
        if not near:
            continue
        kept = {place: kept[place] if place in kept else read(windows[place]) for place in near}
        left, right = grid.part(column)
        total, weight = _add([(windows[place], kept[place]) for place in near], weights, (top, left, bottom, right))
        seen = weight > 0
        blended = torch.from_numpy(total / np.where(seen, weight, 1))
        group_weights = blended[None, :, -1] if reach(strategy) else None
        vectors = blended[None, :, num_classes - 1 : num_classes + 1]
        blended = blended[:, : num_classes - 1]
        full = torch.cat([1 - blended.sum(1, keepdim=True), blended], 1).clamp_(0, 1).unsqueeze(0)  # (1, S, N, h, w)
        fused = fuse(full, strategy, group_weights)[0, 1:].mul(255).round_().to(torch.uint8).numpy()
        winner = winning_scale(full, strategy, group_weights)[0, 0].to(torch.uint8).numpy()
        probability[:, :, left:right] = np.where(seen, fused, 0)
        scale[:, left:right] = np.where(seen, winner, NOTHING)
        if towards is not None:
            vector = fuse_directions(2 * vectors - 1, full, group_weights)[0]
            towards[:, :, left:right] = np.where(seen, vector.clamp(-1, 1).mul(ONE).round_().to(torch.int8).numpy(), 0)
    return Strip(probability, scale, towards)


def _add(
    pieces: list[tuple[Window, np.ndarray]], weights: np.ndarray, box: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sum (S, C, h, w) of windows over a box, and the sum of the weights (h, w)."""
    top, left, bottom, right = box
    shape = pieces[0][1].shape
    total = np.zeros((*shape[:2], bottom - top, right - left), np.float32)
    weight = np.zeros(total.shape[2:], np.float32)
    for window, values in pieces:
        y0, y1 = max(top, window.y), min(bottom, window.y + shape[2])
        x0, x1 = max(left, window.x), min(right, window.x + shape[3])
        if y0 >= y1 or x0 >= x1:
            continue
        there = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        here = np.s_[y0 - window.y : y1 - window.y, x0 - window.x : x1 - window.x]
        found = values[:, :, *here].astype(np.float32)
        found *= weights[here] / LEVELS
        total[:, :, *there] += found
        weight[there] += weights[here]
    return total, weight
