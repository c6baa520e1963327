"""Scores of objects for every image at every test scale, which can be saved and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from monai_seunet.metrics.calibration.counts import Calibration
from monai_seunet.metrics.confusion import nan_mean, ratio, without_nan
from monai_seunet.metrics.objects.errors import KINDS, error_kinds
from monai_seunet.metrics.objects.overlaps import Overlaps, aggregated_jaccard, object_overlaps

#: IoU above which objects match, for the average precisions.
THRESHOLDS = (0.5, 0.7, 0.9)
#: Counts of an image.
COLUMNS = (
    "true",
    "predicted",
    *(f"matched_{round(100 * threshold)}" for threshold in THRESHOLDS),
    *("iou_sum", "aji_intersection", "aji_union"),
    *KINDS,
)
#: Scores of an image; `dq` is the F1 of objects at an IoU of 0.5.
SCORES = ("aji", "pq", "sq", "dq", *(f"ap_{round(100 * threshold)}" for threshold in THRESHOLDS))


def count_objects(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Count the objects of an image in the columns of `ObjectScores`.

    Args:
        truth: instance map (H, W) with 0 for background.
        prediction: instance map (H, W).

    Returns:
        counts (14,) float64 in the order of `COLUMNS`.

    Raises:
        ValueError: the maps differ in shape.

    References:
        Data Science Bowl 2018 for the average precision at a threshold, TP / (TP + FP + FN); see also `object_counts`.
    """
    return overlap_counts(object_overlaps(truth, prediction))


def overlap_counts(overlaps: Overlaps) -> np.ndarray:
    """Return the counts of `count_objects` of the overlaps of an image."""
    iou = overlaps.iou
    matched = [int((iou > threshold).sum()) for threshold in THRESHOLDS]
    jaccard = aggregated_jaccard(overlaps)
    sizes = (len(overlaps.truth_areas), len(overlaps.prediction_areas))
    return np.array([*sizes, *matched, math.fsum(iou[iou > THRESHOLDS[0]]), *jaccard, *error_kinds(overlaps)], float)


@dataclass(frozen=True)
class ObjectScores:
    """Counts and scores of the objects of every image at every test scale.

    Attributes:
        scales: test scales.
        counts: counts (len(scales), images, len(COLUMNS)) float64; NaN if an image was not evaluated at a scale.
        calibration: whether the mean probabilities of predicted objects are shares of matches with an IoU above 0.5, at
            every scale; None if they were not counted.
    """

    scales: tuple[float, ...]
    counts: np.ndarray
    calibration: Calibration | None = None

    def column(self, name: str) -> np.ndarray:
        """Return one of `COLUMNS`, (len(scales), images)."""
        return self.counts[..., COLUMNS.index(name)]

    @cached_property
    def image_scores(self) -> dict[str, np.ndarray]:
        """Scores (len(scales), images) by name in `SCORES`; NaN for 0/0, in an image without objects."""
        true, predicted, matched = self.column("true"), self.column("predicted"), self.column("matched_50")
        mean_count = (true + predicted) / 2
        scores = {
            "aji": ratio(self.column("aji_intersection"), self.column("aji_union")),
            "pq": ratio(self.column("iou_sum"), mean_count),
            "sq": ratio(self.column("iou_sum"), matched),
            "dq": ratio(matched, mean_count),
        }
        for name in SCORES[4:]:
            hits = self.column(name.replace("ap", "matched"))
            scores[name] = ratio(hits, true + predicted - hits)
        return scores

    def curve(self, score: str) -> np.ndarray:
        """Return the mean (len(scales),) of a score over the images in which it is not NaN."""
        return nan_mean(self.image_scores[score], 1)

    def interval(self, score: str, confidence: float = 0.95, resamples: int = 2000) -> np.ndarray:
        """Return a confidence interval of the mean at every scale, (len(scales), 2), by the bootstrap of images.

        Invariant: the result is deterministic; it is NaN for fewer than two images with the score.
        """
        intervals = np.full((len(self.scales), 2), np.nan)
        options: dict[str, Any] = {"n_resamples": resamples, "confidence_level": confidence, "method": "percentile"}
        for row, values in enumerate(self.image_scores[score]):
            valid = values[~np.isnan(values)]
            if len(valid) > 1:
                bootstrap = stats.bootstrap((valid,), np.mean, rng=np.random.default_rng(0), **options)
                intervals[row] = bootstrap.confidence_interval
        return intervals

    def kinds(self) -> dict[str, np.ndarray]:
        """Return the number of objects (len(scales),) of each kind in all images."""
        return {name: np.nansum(self.column(name), 1).astype(np.int64) for name in KINDS}

    @classmethod
    def joined(cls, parts: Sequence[ObjectScores]) -> ObjectScores:
        """Return the scores of the images of all parts, which have the same scales."""
        counted = [part.calibration for part in parts if part.calibration is not None]
        calibration = Calibration.joined(counted) if len(counted) == len(parts) else None
        return cls(parts[0].scales, np.concatenate([part.counts for part in parts], axis=1), calibration)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return {
            "scales": list(self.scales),
            "columns": list(COLUMNS),
            "mean": {name: without_nan(self.curve(name)) for name in SCORES},
            "interval_95": {name: without_nan(self.interval(name)) for name in SCORES},
            "kinds": {name: values.tolist() for name, values in self.kinds().items()},
            "counts": without_nan(self.counts),
            "calibration": self.calibration and self.calibration.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ObjectScores:
        """Restore the scores from the result of `to_dict`."""
        if tuple(values["columns"]) != COLUMNS:
            raise ValueError(f"columns are {values['columns']}, not {list(COLUMNS)}")
        calibration = values.get("calibration")  # missing in reports of earlier versions
        return cls(
            tuple(values["scales"]),
            np.asarray(values["counts"], dtype=np.float64),
            Calibration.from_dict(calibration) if calibration else None,
        )
