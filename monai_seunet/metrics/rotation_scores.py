"""Scores of an image and of its turned copies, and how much they differ: the thesis's f1-score_difference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.segmentation_counts import SCORES, segmentation_scores

TURNS = ("90", "180", "270")
MIRRORS = ("mirror", "mirror 90", "mirror 180", "mirror 270")
LEVELS = ("pixel", "object")


@dataclass(frozen=True)
class RotationScores:
    """Counts of all predictors for all images in all poses, and the scores that follow from them.

    Attributes:
        poses: `0`, the image as it is, then what was done to it: quarter turns in degrees, mirrored ones.
        predictors: `head 1` ... `head S`, and the fusion strategies where S > 1.
        counts: (images, poses, predictors, classes, 9), see `segmentation_counts`.
        object_truth: of each image, `instances` (the label has every object) or `components` (its connected areas).
        iou_threshold: objects match above this IoU.
        min_area: connected areas of fewer pixels are no objects.
    """

    poses: tuple[str, ...]
    predictors: tuple[str, ...]
    counts: np.ndarray
    object_truth: tuple[str, ...]
    iou_threshold: float
    min_area: int

    @cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """Every score of `SCORES`, (images, poses, predictors); NaN where it is 0/0."""
        return segmentation_scores(self.counts)

    @property
    def images(self) -> int:
        """Number of images."""
        return len(self.counts)

    def final(self, strategy: str = "p_ens") -> str:
        """Name of the predictor that stands for the network: the strategy, or the only head."""
        return strategy if strategy in self.predictors else self.predictors[0]

    def mean(self, score: str, predictor: str) -> float:
        """Mean over the images, as they are, of a score of one predictor; images where it is 0/0 do not count."""
        return float(nan_mean(self._of(score, predictor)[:, 0]))

    def differences(self, level: str, predictor: str, poses: tuple[str, ...] = TURNS) -> np.ndarray:
        """F1 of the image minus F1 of the turned image, whose prediction is scored against the turned label.

        Invariant: 0 for a network that commutes with turning. Positive where the image as it is was segmented better.
        An F1 of 0/0 counts as 1 here: nothing was there and nothing was found.

        Args:
            level: `pixel` or `object`.
            predictor: one of `predictors`.
            poses: which turned images.

        Returns:
            (images, len(poses)), in [-1, 1].

        References:
            The f1-score_difference of section 3.3 in the thesis on rotation-equivariant nuclei segmentation (Tartu).
        """
        f1 = np.nan_to_num(self._of(f"{level}_f1", predictor), nan=1.0)
        return f1[:, :1] - f1[:, [self.poses.index(pose) for pose in poses]]

    def summary(self, predictor: str) -> dict[str, float]:
        """The numbers that stand for one predictor: mean scores, and of both F1 differences over the quarter turns.

        `f1_difference.pixel` is the mean absolute difference, `signed_f1_difference.pixel` the mean, `..._zeros` the
        share of comparisons without any difference; likewise for objects, and `mirror_f1_difference` over the mirrored
        poses where they were evaluated.
        """
        result = {name: self.mean(name, predictor) for name in SCORES}
        for level in LEVELS:
            turned = self.differences(level, predictor)
            result[f"f1_difference.{level}"] = float(np.abs(turned).mean())
            result[f"signed_f1_difference.{level}"] = float(turned.mean())
            result[f"f1_difference_zeros.{level}"] = float((turned == 0).mean())
            if self.mirrored:
                mirrored = self.differences(level, predictor, self.mirrored)
                result[f"mirror_f1_difference.{level}"] = float(np.abs(mirrored).mean())
        return result

    @property
    def mirrored(self) -> tuple[str, ...]:
        """The mirrored poses among those evaluated."""
        return tuple(pose for pose in self.poses if pose in MIRRORS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "poses": list(self.poses),
            "predictors": list(self.predictors),
            "images": self.images,
            "iou_threshold": self.iou_threshold,
            "min_area": self.min_area,
            "object_truth": list(self.object_truth),
            "summary": {name: _without_nan(self.summary(name)) for name in self.predictors},
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RotationScores:
        """Rebuild the scores from what `to_dict` gave."""
        return cls(
            poses=tuple(values["poses"]),
            predictors=tuple(values["predictors"]),
            counts=np.asarray(values["counts"], dtype=np.float64),
            object_truth=tuple(values["object_truth"]),
            iou_threshold=float(values["iou_threshold"]),
            min_area=int(values["min_area"]),
        )

    def _of(self, score: str, predictor: str) -> np.ndarray:
        """A score of one predictor, (images, poses)."""
        return self.scores[score][..., self.predictors.index(predictor)]


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: a score that does not exist is null."""
    return {name: None if np.isnan(value) else value for name, value in values.items()}
