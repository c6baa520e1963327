"""Confusion matrices, and the scores that follow from them."""

from __future__ import annotations

import warnings

import numpy as np
import torch


def confusion_matrix(
    prediction: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int | None = None
) -> torch.Tensor:
    """Count how often each true class was predicted as each class, for any number of predictions of one label.

    Invariant: the entries sum to the number of pixels whose label is not `ignore_index`; counts of disjoint parts of an
    image add up to the counts of the whole.

    Args:
        prediction: class indices (P, ...), P predictions.
        label: class indices (...), the same for all predictions.
        num_classes: N.
        ignore_index: label value of pixels that are not counted; None where all count.

    Returns:
        (P, N, N) int64; entry [p, t, c] counts the pixels of class t that prediction p called c.

    Raises:
        ValueError: for shapes that do not fit, or for a class index outside [0, N).
    """
    if prediction.shape[1:] != label.shape:
        raise ValueError(
            f"prediction of shape {list(prediction.shape)} does not fit label of shape {list(label.shape)}; "
            "(P, ...) and (...) are expected"
        )
    truth = label.reshape(-1).long()
    guess = prediction.reshape(prediction.shape[0], -1).long()
    if ignore_index is not None:
        counted = truth != ignore_index
        truth, guess = truth[counted], guess[:, counted]
    for name, values in (("label", truth), ("prediction", guess)):
        if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
            raise ValueError(
                f"{name} has class indices from {int(values.min())} to {int(values.max())}, outside the "
                f"{num_classes} classes 0 to {num_classes - 1}"
            )
    offset = torch.arange(len(guess), device=guess.device).unsqueeze(1) * num_classes**2
    cells = (offset + truth * num_classes + guess).reshape(-1)
    counts = torch.bincount(cells, minlength=len(guess) * num_classes**2)
    return counts.reshape(len(guess), num_classes, num_classes)


def class_iou(matrix: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each class, |T & P| / |T | P|.

    Args:
        matrix: confusion matrices (..., N, N), truth in rows.

    Returns:
        (..., N) float64 in [0, 1]; NaN for a class that neither the truth nor the prediction has.
    """
    hit, true, predicted = _class_counts(matrix)
    return hit / (true + predicted - hit)


def class_dice(matrix: torch.Tensor) -> torch.Tensor:
    """Dice coefficient of each class, 2 |T & P| / (|T| + |P|), which is 2 IoU / (1 + IoU).

    Args:
        matrix: confusion matrices (..., N, N), truth in rows.

    Returns:
        (..., N) float64 in [0, 1]; NaN for a class that neither the truth nor the prediction has.
    """
    hit, true, predicted = _class_counts(matrix)
    return 2 * hit / (true + predicted)


def class_mean(scores: torch.Tensor, include_background: bool | None = None) -> torch.Tensor:
    """Mean of per-class scores over the classes that occur.

    Args:
        scores: (..., N).
        include_background: whether class 0 counts; None for the papers' habit: the foreground alone where N = 2, all
            classes where N > 2.

    Returns:
        (...); NaN where no counted class occurs.
    """
    counted = scores.shape[-1] > 2 if include_background is None else include_background
    return scores[..., 0 if counted else 1 :].nanmean(-1)


def _class_counts(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels of each class that are right, that are true and that are predicted."""
    counts = matrix.double()
    return counts.diagonal(dim1=-2, dim2=-1), counts.sum(-1), counts.sum(-2)


def nan_mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of what is not NaN; NaN where all is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(values, axis=axis)
