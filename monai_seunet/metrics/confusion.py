"""Confusion matrices and their scores; NaN is the value of 0/0, and JSON has null for it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch


def confusion_matrix(
    prediction: torch.Tensor, label: torch.Tensor, num_classes: int, ignore_index: int | None = None
) -> torch.Tensor:
    """Count the pixels of each pair of a true and a predicted class, for several predictions of one label.

    Invariant: the entries sum to the number of pixels whose label is not `ignore_index`; the counts of disjoint parts
    of an image add up to the counts of the image.

    Args:
        prediction: class indices (P, ...) of P predictions.
        label: class indices (...) of all predictions.
        num_classes: number of classes N.
        ignore_index: label value of pixels that are not counted; None counts all pixels.

    Returns:
        matrices (P, N, N) int64; entry [p, t, c] counts the pixels of class t with class c in prediction p.

    Raises:
        ValueError: the shapes do not match, or a class index is outside [0, N).

    >>> confusion_matrix(torch.tensor([[0, 1, 1]]), torch.tensor([0, 0, 1]), num_classes=2)
    tensor([[[1, 1],
             [0, 1]]])
    """
    if prediction.shape[1:] != label.shape:
        raise ValueError(
            f"prediction of shape {list(prediction.shape)} does not fit label of shape {list(label.shape)}; "
            "(P, ...) and (...) are expected"
        )
    truth = label.reshape(-1).long()
    predicted = prediction.reshape(prediction.shape[0], -1).long()
    if ignore_index is not None:
        counted = truth != ignore_index
        truth, predicted = truth[counted], predicted[:, counted]
    for name, values in (("label", truth), ("prediction", predicted)):
        if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < num_classes:
            raise ValueError(
                f"{name} has class indices from {int(values.min())} to {int(values.max())}, outside the "
                f"{num_classes} classes 0 to {num_classes - 1}"
            )
    offset = torch.arange(len(predicted), device=predicted.device).unsqueeze(1) * num_classes**2
    cells = (offset + truth * num_classes + predicted).reshape(-1)
    counts = torch.bincount(cells, minlength=len(predicted) * num_classes**2)
    return counts.reshape(len(predicted), num_classes, num_classes)


def class_iou(matrix: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union of each class, |T & P| / |T | P|.

    Args:
        matrix: confusion matrices (..., N, N), truth in rows.

    Returns:
        IoU (..., N) in [0, 1], float64; NaN for a class that occurs neither in the truth nor in the prediction.
    """
    hit, true, predicted = _class_counts(matrix)
    return hit / (true + predicted - hit)


def class_dice(matrix: torch.Tensor) -> torch.Tensor:
    """Return the Dice coefficient of each class, 2 |T & P| / (|T| + |P|) = 2 IoU / (1 + IoU).

    Args:
        matrix: confusion matrices (..., N, N), truth in rows.

    Returns:
        Dice (..., N) in [0, 1], float64; NaN for a class that occurs neither in the truth nor in the prediction.
    """
    hit, true, predicted = _class_counts(matrix)
    return 2 * hit / (true + predicted)


def class_mean(scores: torch.Tensor, include_background: bool | None = None) -> torch.Tensor:
    """Return the mean of scores over the classes that occur.

    Args:
        scores: scores of the classes (..., N).
        include_background: whether class 0 is scored; None follows the papers and scores it if N > 2.

    Returns:
        means (...); NaN if none of the scored classes occurs.
    """
    include = scores.shape[-1] > 2 if include_background is None else include_background
    return scores[..., 0 if include else 1 :].nanmean(-1)


def _class_counts(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the numbers of correct, true and predicted pixels of each class."""
    counts = matrix.double()
    return counts.diagonal(dim1=-2, dim2=-1), counts.sum(-1), counts.sum(-2)


def nan_mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return the mean of the values that are not NaN; NaN if all are NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(values, axis=axis)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def without_nan(values: np.ndarray | float) -> Any:
    """Convert a number or an array to plain values for JSON, which has no NaN: nested lists with None instead."""
    return np.where(np.isnan(values), None, values).tolist()  # type: ignore[call-overload]
