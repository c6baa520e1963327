"""Objects of a segmentation, and how well they match those of the truth: one sparse overlap table an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse

from monai_seunet.utils.errors import InputError

OBJECT_COUNTS = ("tp", "fp", "fn", "iou_sum", "aji_intersection", "aji_union")


def connected_objects(mask: np.ndarray, min_area: int = 0) -> np.ndarray:
    """Number the connected areas of a mask; pixels that touch at a corner only are not connected.

    Invariant: turning or mirroring the mask changes nothing but the numbering.

    Args:
        mask: (H, W) bool.
        min_area: areas of fewer pixels become background.

    Returns:
        (H, W) int32; 0 is background. Numbers of areas that were dropped are not used again.
    """
    numbers, _ = ndimage.label(mask)
    if min_area > 1:
        small = np.bincount(numbers.ravel()) < min_area
        numbers[small[numbers]] = 0
    return numbers


@dataclass(frozen=True)
class Overlaps:
    """Which true and predicted objects share pixels: the contingency table of two instance maps, without background.

    Attributes:
        truth: (K,) index of the true object of each pair that shares pixels, in [0, T).
        prediction: (K,) index of its predicted object, in [0, P).
        shared: (K,) pixels that both have.
        truth_areas: (T,) pixels of each true object.
        prediction_areas: (P,) pixels of each predicted object.
    """

    truth: np.ndarray
    prediction: np.ndarray
    shared: np.ndarray
    truth_areas: np.ndarray
    prediction_areas: np.ndarray

    @property
    def united(self) -> np.ndarray:
        """(K,) pixels that either object of a pair has."""
        return self.truth_areas[self.truth] + self.prediction_areas[self.prediction] - self.shared

    @property
    def iou(self) -> np.ndarray:
        """(K,) intersection over union of each pair, float64."""
        return self.shared / self.united


def object_overlaps(truth: np.ndarray, prediction: np.ndarray) -> Overlaps:
    """Count the pixels that every true object shares with every predicted one.

    Args:
        truth: instance map (H, W), 0 is background, every other value one object, in any numbering.
        prediction: instance map (H, W) likewise.

    Raises:
        ValueError: for maps of different shapes.
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


def object_counts(truth: np.ndarray, prediction: np.ndarray, iou_threshold: float = 0.5) -> np.ndarray:
    """What all object-wise scores of an image follow from.

    A true and a predicted object match where their IoU is above the threshold; from 0.5 on an object has at most one
    match. For the aggregated Jaccard index every true object is paired with the predicted one of largest IoU (of those
    the one that shares most pixels), which several may choose; predicted objects that none chose add to the union.
    Invariant: blind to the numbering of the objects; counts of several images add up.
    Limits: `iou_sum` is the correctly rounded sum, so that it does not depend on the order of the objects.

    Args:
        truth: instance map (H, W), 0 is background.
        prediction: instance map (H, W).
        iou_threshold: at least 0.5 and below 1.

    Returns:
        (6,) float64 in the order of `OBJECT_COUNTS`.

    Raises:
        InputError: for a threshold outside [0.5, 1).
        ValueError: for maps of different shapes.

    References:
        Kirillov et al., Panoptic Segmentation, 2019. (MONAI's `compute_panoptic_quality` finds the same matches with
        one mask of the whole image for every object, which a thousand nuclei make slow, and gives 0 for 0/0.)
        Kumar et al., A Dataset and a Technique for Generalized Nuclear Segmentation, 2017, algorithm 1.
    """
    check_threshold(iou_threshold)
    overlaps = object_overlaps(truth, prediction)
    iou = overlaps.iou
    matched = iou > iou_threshold
    hits = int(matched.sum())
    return np.array(
        [
            hits,
            len(overlaps.prediction_areas) - hits,
            len(overlaps.truth_areas) - hits,
            math.fsum(iou[matched]),
            *aggregated_jaccard(overlaps),
        ],
        dtype=np.float64,
    )


def check_threshold(iou_threshold: float) -> None:
    """Refuse a threshold at which a match is not unique, or nothing can match.

    Raises:
        InputError: outside [0.5, 1).
    """
    if not 0.5 <= iou_threshold < 1:
        raise InputError(
            f"iou_threshold is {iou_threshold}; give at least 0.5, where a match is unique, and below 1, such as 0.5"
        )


def _indices(instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the object of each pixel, -1 for background, and the area of each object."""
    values = instances.ravel().astype(np.int64, copy=False)
    if values.size and 0 <= values.min() and values.max() < values.size:  # far faster than sorting the pixels
        areas = np.bincount(values)
        areas[:1] = 0
        place = np.cumsum(areas > 0) - 1
        place[areas == 0] = -1
        return place[values], areas[areas > 0]
    found, index, areas = np.unique(values, return_inverse=True, return_counts=True)
    kept = found != 0
    place = np.where(kept, np.cumsum(kept) - 1, -1)
    return place[index.reshape(-1)], areas[kept]


def aggregated_jaccard(overlaps: Overlaps) -> tuple[int, int]:
    """Numerator and denominator of the index, see `object_counts`."""
    order = np.lexsort((overlaps.shared, overlaps.iou, overlaps.truth))
    last = np.flatnonzero(np.diff(overlaps.truth[order], append=-1))  # the best pair of each true object
    best = order[last]
    unmet = np.ones(len(overlaps.truth_areas), dtype=bool)
    unmet[overlaps.truth[best]] = False
    unused = np.ones(len(overlaps.prediction_areas), dtype=bool)
    unused[overlaps.prediction[best]] = False
    union = overlaps.united[best].sum() + overlaps.truth_areas[unmet].sum() + overlaps.prediction_areas[unused].sum()
    return int(overlaps.shared[best].sum()), int(union)
