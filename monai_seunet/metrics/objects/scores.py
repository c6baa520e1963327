"""Scores of objects at every test scale, image by image, as one value that can be saved and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.objects.errors import KINDS, error_kinds
from monai_seunet.metrics.objects.overlaps import aggregated_jaccard, object_overlaps

#: IoU above which objects match, for the average precisions.
THRESHOLDS = (0.5, 0.7, 0.9)
#: What is counted of an image.
COLUMNS = (
    "true",
    "predicted",
    *(f"matched_{round(100 * threshold)}" for threshold in THRESHOLDS),
    *("iou_sum", "aji_intersection", "aji_union"),
    *KINDS,
)
#: Scores of an image that follow from the counts; `dq` is the F1 of objects at an IoU of 0.5.
SCORES = ("aji", "pq", "sq", "dq", *(f"ap_{round(100 * threshold)}" for threshold in THRESHOLDS))


def count_objects(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """What the scores of an image follow from.

    Args:
        truth: instance map (H, W), 0 is background.
        prediction: instance map (H, W).

    Returns:
        (14,) float64 in the order of `COLUMNS`.

    Raises:
        ValueError: for maps of different shapes.

    References:
        See `object_counts`; for the average precision at a threshold, TP / (TP + FP + FN), the Data Science Bowl 2018.
    """
    overlaps = object_overlaps(truth, prediction)
    iou = overlaps.iou
    matched = [int((iou > threshold).sum()) for threshold in THRESHOLDS]
    jaccard = aggregated_jaccard(overlaps)
    sizes = (len(overlaps.truth_areas), len(overlaps.prediction_areas))
    return np.array([*sizes, *matched, math.fsum(iou[iou > THRESHOLDS[0]]), *jaccard, *error_kinds(overlaps)], float)


@dataclass(frozen=True)
class ObjectScores:
    """Counts of the objects of every image at every test scale, and the scores that follow from them.

    Attributes:
        scales: test scales.
        counts: (len(scales), images, len(COLUMNS)) float64; NaN where an image was not evaluated.
    """

    scales: tuple[float, ...]
    counts: np.ndarray

    def column(self, name: str) -> np.ndarray:
        """One of `COLUMNS`, (len(scales), images)."""
        return self.counts[..., COLUMNS.index(name)]

    @cached_property
    def image_scores(self) -> dict[str, np.ndarray]:
        """(len(scales), images) for every name of `SCORES`; NaN where a score is 0/0: without any object."""
        true, predicted, matched = self.column("true"), self.column("predicted"), self.column("matched_50")
        both = (true + predicted) / 2
        scores = {
            "aji": _ratio(self.column("aji_intersection"), self.column("aji_union")),
            "pq": _ratio(self.column("iou_sum"), both),
            "sq": _ratio(self.column("iou_sum"), matched),
            "dq": _ratio(matched, both),
        }
        for name in SCORES[4:]:
            hits = self.column(name.replace("ap", "matched"))
            scores[name] = _ratio(hits, true + predicted - hits)
        return scores

    def curve(self, score: str) -> np.ndarray:
        """Mean of the images that have the score, at every scale, (len(scales),)."""
        return nan_mean(self.image_scores[score], 1)

    def interval(self, score: str, confidence: float = 0.95, resamples: int = 2000) -> np.ndarray:
        """Ends of an interval of the mean at every scale, (len(scales), 2), by the bootstrap of images (percentiles).

        Invariant: the same from call to call. NaN for fewer than two images that have the score.
        """
        ends = np.full((len(self.scales), 2), np.nan)
        for place, values in enumerate(self.image_scores[score]):
            known = values[~np.isnan(values)]
            if len(known) > 1:
                found = stats.bootstrap(
                    (known,),
                    np.mean,
                    n_resamples=resamples,
                    confidence_level=confidence,
                    method="percentile",
                    rng=np.random.default_rng(0),
                )
                ends[place] = found.confidence_interval
        return ends

    def kinds(self) -> dict[str, np.ndarray]:
        """How many objects of all images are of each kind, at every scale, (len(scales),)."""
        return {name: np.nansum(self.column(name), 1).astype(np.int64) for name in KINDS}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "scales": list(self.scales),
            "columns": list(COLUMNS),
            "mean": {name: _plain(self.curve(name)) for name in SCORES},
            "interval_95": {name: _plain(self.interval(name)) for name in SCORES},
            "kinds": {name: values.tolist() for name, values in self.kinds().items()},
            "counts": _plain(self.counts),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ObjectScores:
        """Rebuild the scores from what `to_dict` gave."""
        if tuple(values["columns"]) != COLUMNS:
            raise ValueError(f"columns are {values['columns']}, not {list(COLUMNS)}")
        return cls(tuple(values["scales"]), np.asarray(values["counts"], dtype=np.float64))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _plain(values: np.ndarray) -> Any:
    """Nested lists; JSON has no NaN."""
    return np.where(np.isnan(values), None, values).tolist()  # type: ignore[call-overload]
