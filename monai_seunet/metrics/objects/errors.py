"""Kinds of errors of true and predicted objects, which explain a low score."""

from __future__ import annotations

import numpy as np

from monai_seunet.metrics.objects.overlaps import Overlaps, check_threshold

#: Kinds of true objects, followed by the kind of predicted objects without a true one.
KINDS = ("found", "merged", "split", "inexact", "missed", "false")


def error_kinds(overlaps: Overlaps, iou_threshold: float = 0.5) -> np.ndarray:
    """Count the objects of an image by the kind of their error.

    A predicted object covers a true object if it shares more than half of the pixels of the true object, and it lies in
    the true object if it shares more than half of its own pixels. A true object has the first kind that applies:
    `found` if its IoU with a predicted object is above the threshold; `merged` if a predicted object covers it and
    another true object; `split` if two predicted objects lie in it; `inexact` if one predicted object lies in it or
    covers it; `missed` otherwise. A predicted object is `false` if it neither covers a true object nor lies in one.
    Invariant: the first five counts add up to the number of true objects. The numbering of objects has no influence.

    Args:
        overlaps: overlaps of the true and the predicted objects, see `object_overlaps`.
        iou_threshold: IoU above which two objects match, at least 0.5 and below 1.

    Returns:
        counts (6,) int64 in the order of `KINDS`.

    Raises:
        InputError: the threshold is outside [0.5, 1).
    """
    check_threshold(iou_threshold)
    true_count, predicted_count = len(overlaps.truth_areas), len(overlaps.prediction_areas)
    truth, prediction, shared = overlaps.truth, overlaps.prediction, overlaps.shared
    matched = overlaps.iou > iou_threshold
    covers = 2 * shared > overlaps.truth_areas[truth]
    inside = 2 * shared > overlaps.prediction_areas[prediction]
    found = np.zeros(true_count, bool)
    found[truth[matched]] = True
    covered_objects = np.bincount(prediction[covers], minlength=predicted_count)
    merged = np.zeros(true_count, bool)
    merged[truth[covers & (covered_objects[prediction] > 1)]] = True
    pieces = np.bincount(truth[inside], minlength=true_count)
    inexact = pieces > 0
    inexact[truth[covers]] = True
    kinds = np.select([found, merged, pieces > 1, inexact], range(4), default=4)
    is_true = np.zeros(predicted_count, bool)
    is_true[prediction[covers | inside]] = True
    return np.append(np.bincount(kinds, minlength=5), np.count_nonzero(~is_true))
