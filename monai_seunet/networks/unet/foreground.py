"""Probabilities of the foreground in a part of an image."""

from __future__ import annotations

import torch

Part = tuple[int, int, int, int]  # top, left, height, width


def part_foreground(outputs: torch.Tensor, classes: int, part: Part) -> torch.Tensor:
    """Return probabilities of the foreground classes in a part of the images, from logits (B, S, N, H, W).

    Directions after the N classes stay as the last channels.
    """
    top, left, height, width = part
    wanted = outputs[..., top : top + height, left : left + width].float()
    probabilities = wanted[:, :, :classes].softmax(dim=2)[:, :, 1:]
    return probabilities if wanted.shape[2] == classes else torch.cat([probabilities, wanted[:, :, classes:]], 2)
