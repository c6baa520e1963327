"""Pixel-wise and object-wise scores of class maps, from counts that add up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from monai_seunet.metrics.confusion import confusion_matrix, nan_mean
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
    """Count the right and wrong pixels and objects of class maps of one image, class by class.

    The objects of a class map are the connected areas of each class. Pixels that are ignored belong to no object.

    Args:
        maps: class indices (P, H, W), P predictions.
        label: class indices (H, W).
        num_classes: N.
        instances: the true objects (H, W), 0 is background, for two classes; None takes the connected areas of the
            label, as for predictions.
        iou_threshold: a match of objects has an IoU above this.
        min_area: connected areas of fewer pixels are no objects; `instances` are taken as they are.
        include_background: whether class 0 counts; None: only where N > 2.
        ignore_index: label value of pixels that are not counted.

    Returns:
        (P, C, 9) float64 in the order of `COUNTS`; C are the classes that count.

    Raises:
        ValueError: for instances of more than one class.
    """
    counted = counted_classes(num_classes, include_background)
    if instances is not None and len(counted) != 1:
        raise ValueError(f"instances are the objects of one class, but {len(counted)} classes are scored")
    matrix = confusion_matrix(maps, label, num_classes, ignore_index).numpy(force=True).astype(np.float64)
    hits = np.diagonal(matrix, axis1=1, axis2=2)
    pixels = np.stack([hits, matrix.sum(1) - hits, matrix.sum(2) - hits], -1)[:, counted]
    truth, guesses = label.numpy(force=True), maps.numpy(force=True)
    seen = np.ones(truth.shape, dtype=bool) if ignore_index is None else truth != ignore_index
    objects = np.empty((len(guesses), len(counted), len(OBJECT_COUNTS)))
    for place, category in enumerate(counted):
        if instances is None:
            true_objects = connected_objects((truth == category) & seen, min_area)
        else:
            true_objects = np.where(seen, instances.numpy(force=True), 0)
        for index, guess in enumerate(guesses):
            found = connected_objects((guess == category) & seen, min_area)
            objects[index, place] = object_counts(true_objects, found, iou_threshold)
    return np.concatenate([pixels, objects], -1)


def counted_classes(num_classes: int, include_background: bool | None = None) -> list[int]:
    """Classes whose mean is the score: the foreground alone where N = 2, all where N > 2, unless it is said."""
    counted = num_classes > 2 if include_background is None else include_background
    return list(range(0 if counted else 1, num_classes))


def segmentation_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """All scores that follow from counts, mean over the classes that occur.

    `dq` is `object_f1` by another name, `pq` = `sq` x `dq`, and `pixel_f1` is the Dice coefficient.
    Where nothing is counted, a score is 0/0 and NaN: truth and prediction empty, all scores; truth empty but not the
    prediction, `recall` and `sq` (precision, F1, IoU, AJI, PQ and DQ are 0); prediction empty but not the truth,
    `precision` and `sq` (the others are 0).

    Args:
        counts: (..., C, 9), of one image or summed over several.

    Returns:
        (...) float64 for every name in `SCORES`.
    """
    named = dict(zip(COUNTS, np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0), strict=True))
    each = {f"pixel_{name}": value for name, value in _detection(named, "pixel_").items()}
    each["pixel_iou"] = _ratio(named["pixel_tp"], named["pixel_tp"] + named["pixel_fp"] + named["pixel_fn"])
    each |= {f"object_{name}": value for name, value in _detection(named, "").items()}
    each["aji"] = _ratio(named["aji_intersection"], named["aji_union"])
    each["sq"] = _ratio(named["iou_sum"], named["tp"])
    each["pq"] = _ratio(named["iou_sum"], named["tp"] + (named["fp"] + named["fn"]) / 2)
    each["dq"] = each["object_f1"]
    return {name: nan_mean(each[name], -1) for name in SCORES}


def _detection(named: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    tp, fp, fn = (named[prefix + name] for name in ("tp", "fp", "fn"))
    return {"precision": _ratio(tp, tp + fp), "recall": _ratio(tp, tp + fn), "f1": _ratio(2 * tp, 2 * tp + fp + fn)}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
