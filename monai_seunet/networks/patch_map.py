"""Classifier of patches in the form of a segmenter."""

from __future__ import annotations

import torch
from torch import nn


class PatchMap(nn.Module):
    """Give every pixel of a patch the logits of the patch.

    The trainer, the evaluator and the sliding window of segmenters then work for a classifier; overlapping windows are
    blended to a map of probabilities.

    Shapes: x (B, C, H, W) -> (B, N, H, W).

    Args:
        classifier: module from x to logits (B, N).

    >>> PatchMap(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)))(torch.zeros(1, 3, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify every patch."""
        return self.classifier(x)[:, :, None, None].expand(-1, -1, x.shape[-2], x.shape[-1])
