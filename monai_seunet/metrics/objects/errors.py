"""What became of every true object, and which found ones are none: the kinds of errors behind a low score."""

from __future__ import annotations

import numpy as np

from monai_seunet.metrics.objects.overlaps import Overlaps, check_threshold

#: What becomes of a true object; and last, objects that were found where none is.
KINDS = ("found", "merged", "split", "inexact", "missed", "false")


def error_kinds(overlaps: Overlaps, iou_threshold: float = 0.5) -> np.ndarray:
    """Count the kinds of right and wrong objects of an image.

    A true object is `found` where the IoU with a predicted one is above the threshold. Else it is `merged` where one
    predicted object covers more than half of it and more than half of another true one; `split` where two predicted
    objects lie in it with more than half of their pixels; `inexact` where one does, or covers more than half of it; and
    `missed` where none does. A predicted object is `false` where it neither lies in a true one nor covers one so.
    Invariant: each true object is of one kind, so that the first five add up to their number. Blind to the numbering.

    Args:
        overlaps: of the true and the predicted objects, see `object_overlaps`.
        iou_threshold: at least 0.5 and below 1.

    Returns:
        (6,) int64 in the order of `KINDS`.

    Raises:
        InputError: for a threshold outside [0.5, 1).
    """
    check_threshold(iou_threshold)
    true_count, predicted_count = len(overlaps.truth_areas), len(overlaps.prediction_areas)
    truth, prediction, shared = overlaps.truth, overlaps.prediction, overlaps.shared
    matched = overlaps.iou > iou_threshold
    covers = 2 * shared > overlaps.truth_areas[truth]  # the prediction most of the true object
    inside = 2 * shared > overlaps.prediction_areas[prediction]  # most of the prediction in the true object
    found = np.zeros(true_count, bool)
    found[truth[matched]] = True
    covered = np.bincount(prediction[covers], minlength=predicted_count)
    joined = np.zeros(true_count, bool)
    joined[truth[covers & (covered[prediction] > 1)]] = True
    pieces = np.bincount(truth[inside], minlength=true_count)
    touched = pieces > 0
    touched[truth[covers]] = True
    kinds = np.select([found, joined, pieces > 1, touched], range(4), default=4)
    known = np.zeros(predicted_count, bool)
    known[prediction[covers | inside]] = True
    return np.append(np.bincount(kinds, minlength=5), np.count_nonzero(~known))
