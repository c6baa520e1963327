"""Objects of a segmentation, and their overlaps with the true objects as a sparse table."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from monai_seunet.utils.errors import InputError

OBJECT_COUNTS = ("tp", "fp", "fn", "iou_sum", "aji_intersection", "aji_union")


def connected_objects(mask: np.ndarray, min_area: int = 0) -> np.ndarray:
    """Number the connected areas of a mask; pixels that touch only at a corner are not connected.

    Invariant: rotations and reflections of the mask change only the numbering.

    Args:
        mask: boolean mask (H, W).
        min_area: smallest area in pixels; smaller areas become background.

    Returns:
        object numbers (H, W) int32, 0 for background; the numbers of removed areas are not reused.

    >>> connected_objects(np.array([[True, False, True], [False, True, True]]))
    array([[1, 0, 2],
           [0, 2, 2]], dtype=int32)
    """
    numbers, _ = ndimage.label(mask)
    if min_area > 1:
        small = np.bincount(numbers.ravel()) < min_area
        numbers[small[numbers]] = 0
    return numbers


@dataclass(frozen=True)
class Overlaps:
    """The sparse contingency table of two instance maps with T true, P predicted and K pairs of overlapping objects.

    Attributes:
        truth: index (K,) of the true object of each pair, in [0, T).
        prediction: index (K,) of the predicted object of each pair, in [0, P).
        shared: number of shared pixels (K,) of each pair.
        truth_areas: number of pixels (T,) of each true object.
        prediction_areas: number of pixels (P,) of each predicted object.
    """

    truth: np.ndarray
    prediction: np.ndarray
    shared: np.ndarray
    truth_areas: np.ndarray
    prediction_areas: np.ndarray

    @property
    def united(self) -> np.ndarray:
        """Number of pixels (K,) in the union of each pair."""
        return self.truth_areas[self.truth] + self.prediction_areas[self.prediction] - self.shared

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union (K,) of each pair, float64."""
        return self.shared / self.united


def object_overlaps(truth: np.ndarray, prediction: np.ndarray) -> Overlaps:
    """Count the shared pixels of every pair of a true and a predicted object.

    Args:
        truth: instance map (H, W) with 0 for background and any other number for each object.
        prediction: instance map (H, W) of the same form.

    Raises:
        ValueError: the maps differ in shape.

    >>> object_overlaps(np.array([[5, 5, 5]]), np.array([[0, 3, 3]])).iou
    array([0.66666667])
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth of shape {list(truth.shape)} and prediction of shape {list(prediction.shape)} differ")
    true_index, truth_areas = _indices(truth)
    predicted_index, prediction_areas = _indices(prediction)
    both = (true_index >= 0) & (predicted_index >= 0)
    pairs = (true_index[both], predicted_index[both])
    table = sparse.coo_array(
        (np.ones(len(pairs[0]), dtype=np.int64), pairs), shape=(len(truth_areas), len(prediction_areas))
    )
    table.sum_duplicates()
    return Overlaps(table.row, table.col, table.data, truth_areas, prediction_areas)


def object_means(values: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """Return the mean value (P,) of the pixels of each object, in the order of `Overlaps`.

    Args:
        values: number (H, W) of each pixel.
        instances: instance map (H, W) with 0 for background.

    >>> object_means(np.array([0.5, 1.0, 0.2]), np.array([7, 7, 0]))
    array([0.75])
    """
    index, areas = _indices(instances)
    inside = index >= 0
    return np.bincount(index[inside], values.ravel()[inside], len(areas)) / areas


def object_counts(truth: np.ndarray, prediction: np.ndarray, iou_threshold: float = 0.5) -> np.ndarray:
    """Return the counts from which all object-wise scores of an image are computed.

    A true and a predicted object match if their IoU is above the threshold; from 0.5 on, an object has at most one
    match. The aggregated Jaccard index pairs every true object with the predicted object of the largest IoU, and with
    the largest overlap among equal IoUs. Several true objects may share a predicted object. Predicted objects without a
    pair add to the union.
    Invariant: the numbering of objects has no influence; `iou_sum` is correctly rounded and independent of the order of
    objects; counts of several images add up.

    Args:
        truth: instance map (H, W) with 0 for background.
        prediction: instance map (H, W).
        iou_threshold: IoU above which two objects match, at least 0.5 and below 1.

    Returns:
        counts (6,) float64 in the order of `OBJECT_COUNTS`.

    Raises:
        InputError: the threshold is outside [0.5, 1).
        ValueError: the maps differ in shape.

    References:
        Kirillov et al., Panoptic Segmentation, 2019. (MONAI's `compute_panoptic_quality` finds the same matches, but it
        is slow, because it makes one mask of the whole image for every object, and returns 0 for 0/0.)
        Kumar et al., A Dataset and a Technique for Generalized Nuclear Segmentation, 2017, algorithm 1.
    """
    check_threshold(iou_threshold)
    overlaps = object_overlaps(truth, prediction)
    iou = overlaps.iou
    matched = iou > iou_threshold
    hits = int(matched.sum())
    wrong, missed = len(overlaps.prediction_areas) - hits, len(overlaps.truth_areas) - hits
    return np.array([hits, wrong, missed, math.fsum(iou[matched]), *aggregated_jaccard(overlaps)], dtype=np.float64)


def check_threshold(iou_threshold: float) -> None:
    """Raise an InputError for a threshold outside [0.5, 1), where matches are not unique or impossible."""
    if not 0.5 <= iou_threshold < 1:
        raise InputError(
            f"iou_threshold is {iou_threshold}; give at least 0.5, where a match is unique, and below 1, such as 0.5"
        )


def _indices(instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the object index of each pixel, -1 for background, and the area of each object."""
    values = instances.ravel().astype(np.int64, copy=False)
    if values.size and 0 <= values.min() and values.max() < values.size:  # bincount is much faster than unique
        areas = np.bincount(values)
        areas[:1] = 0
        index_of = np.cumsum(areas > 0) - 1
        index_of[areas == 0] = -1
        return index_of[values], areas[areas > 0]
    numbers, inverse, areas = np.unique(values, return_inverse=True, return_counts=True)
    is_object = numbers != 0
    index_of = np.where(is_object, np.cumsum(is_object) - 1, -1)
    return index_of[inverse.reshape(-1)], areas[is_object]


def aggregated_jaccard(overlaps: Overlaps) -> tuple[int, int]:
    """Return the numerator and denominator of the aggregated Jaccard index, see `object_counts`."""
    order = np.lexsort((overlaps.shared, overlaps.iou, overlaps.truth))
    last = np.flatnonzero(np.diff(overlaps.truth[order], append=-1))
    best = order[last]  # the best pair of each true object
    unpaired_truth = np.ones(len(overlaps.truth_areas), dtype=bool)
    unpaired_truth[overlaps.truth[best]] = False
    unpaired = np.ones(len(overlaps.prediction_areas), dtype=bool)
    unpaired[overlaps.prediction[best]] = False
    pixels = (overlaps.united[best], overlaps.truth_areas[unpaired_truth], overlaps.prediction_areas[unpaired])
    return int(overlaps.shared[best].sum()), int(sum(part.sum() for part in pixels))
