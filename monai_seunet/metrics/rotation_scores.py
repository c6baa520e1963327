"""Scores of images in several poses, and their differences: the f1-score_difference of the thesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from monai_seunet.metrics.confusion import nan_mean, without_nan
from monai_seunet.metrics.segmentation_counts import SCORES, segmentation_scores

TURNS = ("90", "180", "270")
MIRRORS = ("mirror", "mirror 90", "mirror 180", "mirror 270")
LEVELS = ("pixel", "object")


@dataclass(frozen=True)
class RotationScores:
    """Counts and scores of all predictors for all images in all poses.

    Attributes:
        poses: `0` for the original image, then quarter turns in degrees and reflections.
        predictors: `head 1` to `head S`, and the fusion strategies if S > 1.
        counts: counts (images, poses, predictors, classes, 9), see `segmentation_counts`.
        object_truth: source of the true objects of each image, `instances` or `components` (connected areas).
        iou_threshold: IoU above which two objects match.
        min_area: smallest area of an object in pixels.
    """

    poses: tuple[str, ...]
    predictors: tuple[str, ...]
    counts: np.ndarray
    object_truth: tuple[str, ...]
    iou_threshold: float
    min_area: int

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Scores (images, poses, predictors) by name in `SCORES`; NaN for 0/0."""
        return segmentation_scores(self.counts)

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.counts)

    def final(self, strategy: str = "p_ens") -> str:
        """Return the predictor that represents the network: the strategy, or the only head."""
        return strategy if strategy in self.predictors else self.predictors[0]

    def mean(self, score: str, predictor: str) -> float:
        """Return the mean of a score of one predictor over the original images; images with 0/0 do not count."""
        return float(nan_mean(self._of(score, predictor)[:, 0]))

    def differences(self, level: str, predictor: str, poses: tuple[str, ...] = TURNS) -> np.ndarray:
        """Return the F1 of the original image minus the F1 of the posed image, scored against the posed label.

        Invariant: 0 for a network that commutes with the pose; positive if the original image has the better F1. An F1
        of 0/0 counts as 1, because an empty prediction of an empty image is correct.

        Args:
            level: `pixel` or `object`.
            predictor: one of `predictors`.
            poses: poses to compare with the original.

        Returns:
            differences (images, len(poses)) in [-1, 1].

        References:
            The f1-score_difference of section 3.3 in the thesis on rotation-equivariant nuclei segmentation (Tartu).
        """
        f1 = np.nan_to_num(self._of(f"{level}_f1", predictor), nan=1.0)
        return f1[:, :1] - f1[:, [self.poses.index(pose) for pose in poses]]

    def summary(self, predictor: str) -> dict[str, float]:
        """Return the mean scores of one predictor, and its F1 differences over the quarter turns.

        `f1_difference.pixel` is the mean absolute difference, `signed_f1_difference.pixel` the mean difference, and
        `f1_difference_zeros.pixel` the share of comparisons without a difference. `.object` has the same for objects.
        `mirror_f1_difference` is the mean absolute difference over the mirrored poses, if they were evaluated.
        """
        result = {name: self.mean(name, predictor) for name in SCORES}
        for level in LEVELS:
            rotated = self.differences(level, predictor)
            result[f"f1_difference.{level}"] = float(np.abs(rotated).mean())
            result[f"signed_f1_difference.{level}"] = float(rotated.mean())
            result[f"f1_difference_zeros.{level}"] = float((rotated == 0).mean())
            if self.mirrored:
                mirrored = self.differences(level, predictor, self.mirrored)
                result[f"mirror_f1_difference.{level}"] = float(np.abs(mirrored).mean())
        return result

    @property
    def mirrored(self) -> tuple[str, ...]:
        """Evaluated poses that are mirrored."""
        return tuple(pose for pose in self.poses if pose in MIRRORS)

    @classmethod
    def joined(cls, parts: Sequence[RotationScores]) -> RotationScores:
        """Return the scores of the images of all parts, which have the same poses, predictors and rules."""
        truth = tuple(source for part in parts for source in part.object_truth)
        return replace(parts[0], counts=np.concatenate([part.counts for part in parts]), object_truth=truth)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return {
            "poses": list(self.poses),
            "predictors": list(self.predictors),
            "images": self.images,
            "iou_threshold": self.iou_threshold,
            "min_area": self.min_area,
            "object_truth": list(self.object_truth),
            "summary": {
                name: {score: without_nan(value) for score, value in self.summary(name).items()}
                for name in self.predictors
            },
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RotationScores:
        """Restore the scores from the result of `to_dict`."""
        return cls(
            poses=tuple(values["poses"]),
            predictors=tuple(values["predictors"]),
            counts=np.asarray(values["counts"], dtype=np.float64),
            object_truth=tuple(values["object_truth"]),
            iou_threshold=float(values["iou_threshold"]),
            min_area=int(values["min_area"]),
        )

    def _of(self, score: str, predictor: str) -> np.ndarray:
        """Return a score of one predictor, (images, poses)."""
        return self.scores[score][..., self.predictors.index(predictor)]
