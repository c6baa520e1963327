"""Scores of every predictor at every test scale, which can be saved and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from monai_seunet.fusion import STRATEGIES
from monai_seunet.metrics.calibration.counts import Calibration
from monai_seunet.metrics.confusion import class_dice, class_iou, class_mean, ratio, without_nan
from monai_seunet.utils.errors import InputError


def predictor_names(num_scales: int) -> tuple[str, ...]:
    """Return the names of the predictors of a network: each of its heads, then each fusion of the heads."""
    heads = tuple(f"head {k + 1}" for k in range(num_scales))
    return heads if num_scales == 1 else heads + STRATEGIES


@dataclass(frozen=True)
class ScaleScores:
    """Confusion matrices and scores of all predictors at all test scales.

    Attributes:
        scales: test scales in ascending order; 1 is the scale of the training images.
        predictors: `head 1` to `head S`, and the fusion strategies if S > 1.
        confusion: confusion matrices (len(scales), len(predictors), N, N) int64 of all pixels of all images, truth in
            rows.
        image_scores: mean scores (len(scales), len(predictors)) over the images in which a scored class occurs.
        images: number of images.
        include_background: see `class_mean`.
        calibration: whether foreground probabilities are shares of foreground pixels at every scale, by predictor; not
            counted for all predictors.
    """

    scales: tuple[float, ...]
    predictors: tuple[str, ...]
    confusion: np.ndarray
    image_scores: np.ndarray
    images: int
    include_background: bool | None = None
    calibration: Mapping[str, Calibration] = field(default_factory=dict)

    @property
    def heads(self) -> tuple[str, ...]:
        """Predictors that are one scale group each."""
        return tuple(name for name in self.predictors if name.startswith("head "))

    @property
    def strategies(self) -> tuple[str, ...]:
        """Predictors that fuse the scale groups."""
        return tuple(name for name in self.predictors if name not in self.heads)

    @property
    def iou(self) -> np.ndarray:
        """IoU (len(scales), len(predictors), N) of each class."""
        return class_iou(torch.as_tensor(self.confusion)).numpy()

    @property
    def dice(self) -> np.ndarray:
        """Dice (len(scales), len(predictors), N) of each class."""
        return class_dice(torch.as_tensor(self.confusion)).numpy()

    @property
    def scores(self) -> np.ndarray:
        """IoU of the foreground, or mIoU for several classes, (len(scales), len(predictors))."""
        return class_mean(torch.as_tensor(self.iou), self.include_background).numpy()

    def final(self, strategy: str = "p_ens") -> str:
        """Return the strategy, or the only head, or raise an InputError if the strategy was not evaluated."""
        if len(self.predictors) == 1:
            return self.predictors[0]
        if strategy not in self.predictors:
            raise InputError(f"fusion '{strategy}' was not evaluated; choose one of {', '.join(self.strategies)}")
        return strategy

    def curve(self, predictor: str) -> np.ndarray:
        """Return the score (len(scales),) of one predictor."""
        return self.scores[:, self.predictors.index(predictor)]

    def mean(self, predictor: str) -> float:
        """Return the mean score of one predictor over the scales."""
        return float(np.nanmean(self.curve(predictor)))

    def best_heads(self) -> list[int]:
        """Return the number of the best head at every scale, counted from 1."""
        return [int(best) + 1 for best in np.nan_to_num(self.scores[:, : len(self.heads)], nan=-1).argmax(1)]

    @classmethod
    def joined(cls, parts: Sequence[ScaleScores]) -> ScaleScores:
        """Return the scores of the images of all parts, which have the same scales and predictors.

        The mean of image scores weighs each part by its number of images, without parts that have no scored class.
        """
        images = np.array([part.images for part in parts], dtype=np.float64)
        means = np.array([part.image_scores for part in parts])
        weights = np.where(np.isnan(means), 0.0, images[:, None, None])
        counted = [name for name in parts[0].calibration if all(name in part.calibration for part in parts)]
        return replace(
            parts[0],
            confusion=np.sum([part.confusion for part in parts], axis=0),
            image_scores=ratio((weights * np.nan_to_num(means)).sum(axis=0), weights.sum(axis=0)),
            images=int(images.sum()),
            calibration={name: Calibration.joined([part.calibration[name] for part in parts]) for name in counted},
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return {
            "scales": list(self.scales),
            "predictors": list(self.predictors),
            "images": self.images,
            "include_background": self.include_background,
            "scores": without_nan(self.scores),
            "mean_scores": {name: self.mean(name) for name in self.predictors},
            "image_scores": without_nan(self.image_scores),
            "confusion": self.confusion.tolist(),
            "calibration": {name: counts.to_dict() for name, counts in self.calibration.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ScaleScores:
        """Restore the scores from the result of `to_dict`."""
        return cls(
            scales=tuple(values["scales"]),
            predictors=tuple(values["predictors"]),
            confusion=np.asarray(values["confusion"], dtype=np.int64),
            image_scores=np.asarray(values["image_scores"], dtype=np.float64),
            images=int(values["images"]),
            include_background=values["include_background"],
            calibration={name: Calibration.from_dict(of) for name, of in values.get("calibration", {}).items()},
        )


def scale_index(scales: Sequence[float], scale: float) -> int:
    """Return the index of an image's test scale.

    Raises:
        ValueError: the scale is not among the test scales.
    """
    for index, test_scale in enumerate(scales):
        if abs(scale / test_scale - 1) < 1e-6:
            return index
    raise ValueError(f"an image is at test scale {scale}, which is not among the metric's scales {scales}")
