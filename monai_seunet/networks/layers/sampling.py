"""Padding to a size that all levels of a U-Net divide, and back."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def pad_to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the border on both sides alike until H and W are multiples of `multiple`.

    Args:
        x: (B, C, H, W)
        multiple: the total stride of the network.

    Returns:
        (B, C, H', W') with the image in the middle; an odd rest goes to the bottom and the right.
    """
    height, width = x.shape[-2], x.shape[-1]
    rows, columns = -height % multiple, -width % multiple
    if rows == 0 and columns == 0:
        return x
    return F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2], mode="replicate")


def crop_to_size(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Undo `pad_to_multiple`: cut the middle of (..., H', W') to (..., height, width)."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]
