"""Output transforms that let metrics of classifiers score maps."""

from __future__ import annotations

from typing import Any

import torch
from monai.utils import CommonKeys


def patch_pairs(output: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Extract one prediction and one label for each patch from decollated maps that are constant.

    Args:
        output: list of dictionaries with `pred` (..., N, H, W) and `label` (1, H, W).

    Returns:
        probabilities or logits (B, N) and class indices (B,), the input of `ignite.metrics.Accuracy`.

    >>> patch_pairs([{"pred": torch.tensor([0.2, 0.8])[:, None, None], "label": torch.ones(1, 1, 1)}])
    (tensor([[0.2000, 0.8000]]), tensor([1]))
    """
    predictions = torch.stack([torch.as_tensor(item[CommonKeys.PRED])[..., 0, 0].flatten() for item in output])
    return predictions, torch.stack([torch.as_tensor(item[CommonKeys.LABEL])[0, 0, 0] for item in output]).long()


def rich_by_heart(output: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the prediction 1 (`rich`) for every patch, and the labels; its accuracy is the share of rich patches.

    Args:
        output: see `patch_pairs`.

    Returns:
        ones (B,) and class indices (B,) of 0 and 1.
    """
    labels = patch_pairs(output)[1]
    return torch.ones_like(labels), labels
