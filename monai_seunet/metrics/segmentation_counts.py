"""Pixel-wise and object-wise counts of class maps, and the scores that follow from them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from monai_seunet.metrics.confusion import confusion_matrix, nan_mean, ratio
from monai_seunet.metrics.objects.overlaps import OBJECT_COUNTS, connected_objects, object_counts

PIXEL_COUNTS = ("pixel_tp", "pixel_fp", "pixel_fn")
COUNTS = (*PIXEL_COUNTS, *OBJECT_COUNTS)
SCORES = (
    "pixel_precision",
    "pixel_recall",
    "pixel_f1",
    "pixel_iou",
    "object_precision",
    "object_recall",
    "object_f1",
    "aji",
    "pq",
    "sq",
    "dq",
)


def segmentation_counts(
    maps: torch.Tensor,
    label: torch.Tensor,
    num_classes: int,
    instances: torch.Tensor | None = None,
    iou_threshold: float = 0.5,
    min_area: int = 0,
    include_background: bool | None = None,
    ignore_index: int | None = None,
) -> np.ndarray:
    """Count correct and wrong pixels and objects of class maps of one image for each class.

    The objects of a class map are the connected areas of each class. Ignored pixels belong to no object.

    Args:
        maps: class indices (P, H, W) of P predictions.
        label: class indices (H, W).
        num_classes: number of classes N.
        instances: true objects (H, W) with 0 for background, for two classes; None uses the connected areas of the
            label, as for predictions.
        iou_threshold: IoU above which two objects match.
        min_area: smallest area of an object in pixels; it does not apply to `instances`.
        include_background: whether class 0 is scored; None scores it if N > 2.
        ignore_index: label value of pixels that are not counted.

    Returns:
        counts (P, C, 9) of the C scored classes in the order of `COUNTS`, float64.

    Raises:
        ValueError: `instances` is given, but more than one class is scored.
    """
    include = num_classes > 2 if include_background is None else include_background
    counted = list(range(0 if include else 1, num_classes))
    if instances is not None and len(counted) != 1:
        raise ValueError(f"instances are the objects of one class, but {len(counted)} classes are scored")
    matrix = confusion_matrix(maps, label, num_classes, ignore_index).numpy(force=True).astype(np.float64)
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    pixels = np.stack([hits, matrix.sum(1) - hits, matrix.sum(2) - hits], -1)[:, counted]
    truth, predictions = label.numpy(force=True), maps.numpy(force=True)
    valid = np.ones(truth.shape, dtype=bool) if ignore_index is None else truth != ignore_index
    objects = np.empty((len(predictions), len(counted), len(OBJECT_COUNTS)))
    for column, category in enumerate(counted):
        if instances is None:
            true_objects = connected_objects((truth == category) & valid, min_area)
        else:
            true_objects = np.where(valid, instances.numpy(force=True), 0)
        for row, prediction in enumerate(predictions):
            predicted_objects = connected_objects((prediction == category) & valid, min_area)
            objects[row, column] = object_counts(true_objects, predicted_objects, iou_threshold)
    return np.concatenate([pixels, objects], -1)


def segmentation_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute all scores from counts, as the mean over the classes that occur.

    `dq` is equal to `object_f1`, `pq` = `sq` x `dq`, and `pixel_f1` is the Dice coefficient.
    A score of 0/0 is NaN: all scores if truth and prediction are empty, `recall` and `sq` if only the truth is empty,
    and `precision` and `sq` if only the prediction is empty. All other scores are then 0.

    Args:
        counts: counts (..., C, 9) of one image, or their sum over several images.

    Returns:
        scores (...) by name in `SCORES`, float64.

    >>> scores = segmentation_scores(np.array([[3, 1, 1, 1, 0, 1, 0.8, 4, 5]]))
    >>> float(scores["pixel_iou"]), float(scores["object_recall"])
    (0.6, 0.5)
    """
    named = dict(zip(COUNTS, np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0), strict=True))
    scores = {f"pixel_{name}": value for name, value in _detection(named, "pixel_").items()}
    scores["pixel_iou"] = ratio(named["pixel_tp"], named["pixel_tp"] + named["pixel_fp"] + named["pixel_fn"])
    scores |= {f"object_{name}": value for name, value in _detection(named, "").items()}
    scores["aji"] = ratio(named["aji_intersection"], named["aji_union"])
    scores["sq"] = ratio(named["iou_sum"], named["tp"])
    scores["pq"] = ratio(named["iou_sum"], named["tp"] + (named["fp"] + named["fn"]) / 2)
    scores["dq"] = scores["object_f1"]
    return {name: nan_mean(scores[name], -1) for name in SCORES}


def _detection(named: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    tp, fp, fn = (named[prefix + name] for name in ("tp", "fp", "fn"))
    return {"precision": ratio(tp, tp + fp), "recall": ratio(tp, tp + fn), "f1": ratio(2 * tp, 2 * tp + fp + fn)}
