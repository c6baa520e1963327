"""A classifier of patches where a segmenter is expected."""

from __future__ import annotations

import torch
from torch import nn


class PatchMap(nn.Module):
    """Give every pixel of a patch the logits of the patch.

    With it a classifier is trained, validated and slid over images by what does so for segmenters; windows that
    overlap are blended to a map of probabilities.

    Shapes: x (B, C, H, W) -> (B, N, H, W).

    Args:
        classifier: x -> logits (B, N).
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify every patch."""
        return self.classifier(x)[:, :, None, None].expand(-1, -1, x.shape[-2], x.shape[-1])
