"""What a metric of classifiers takes out of an evaluator whose predictions are maps."""

from __future__ import annotations

from typing import Any

import torch
from monai.utils import CommonKeys


def patch_pairs(output: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one prediction and one label for each patch out of decollated maps that are the same everywhere.

    Args:
        output: list of dictionaries with `pred` (..., N, H, W) and `label` (1, H, W).

    Returns:
        Probabilities or logits (B, N) and class indices (B,), as `ignite.metrics.Accuracy` takes them.
    """
    predictions = torch.stack([torch.as_tensor(item[CommonKeys.PRED])[..., 0, 0].flatten() for item in output])
    return predictions, torch.stack([torch.as_tensor(item[CommonKeys.LABEL])[0, 0, 0] for item in output]).long()


def rich_patches(output: Any) -> torch.Tensor:
    """Which patches are rich, (B,) of 0 and 1: their mean says how often an answer by heart is right.

    Args:
        output: as for `patch_pairs`.
    """
    return (patch_pairs(output)[1] > 0).float()
