"""Ignite metric of the change of F1 when the image is rotated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from ignite.exceptions import NotComputableError
from ignite.metrics.metric import reinit__is_reduced
from monai.utils import CommonKeys

from monai_seunet.metrics.fused_metric import CountingMetric, head_probabilities
from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY, class_maps
from monai_seunet.metrics.rotation_scores import LEVELS, MIRRORS, TURNS, RotationScores
from monai_seunet.metrics.scale_scores import predictor_names
from monai_seunet.metrics.segmentation_score import OBJECTS_KEY
from monai_seunet.utils.errors import InputError

POSE_KEY = "test_pose"
POSES = ("0", *TURNS, *MIRRORS)


class PosedItem(NamedTuple):
    """One image in one pose: probabilities (S, N, H, W) or (N, H, W), label (1, H, W), objects (1, H, W) or None."""

    prediction: torch.Tensor
    label: torch.Tensor
    objects: torch.Tensor | None
    image: int
    pose: str


def posed_items(output: Any) -> list[PosedItem]:
    """Extract the posed images from an evaluator's decollated output.

    Args:
        output: list of dictionaries with `pred`, `label` and optionally `objects`; the meta data of the label holds
            the index of the image (`test_image`) and the index of its pose in `POSES` (`test_pose`).
    """
    items = []
    for item in output:
        meta = item[CommonKeys.LABEL].meta
        image, pose = int(meta[IMAGE_INDEX_KEY]), POSES[int(meta[POSE_KEY])]
        items.append(PosedItem(item[CommonKeys.PRED], item[CommonKeys.LABEL], item.get(OBJECTS_KEY), image, pose))
    return items


class F1Difference(CountingMetric):
    """The f1-score_difference of the thesis for every head and every fusion of a network, with all other scores.

    The metric's value is the mean absolute difference of `strategy` over images and quarter turns. It is 0 for a
    network that commutes with quarter turns. `result()` returns all details.
    Limits: it runs in one process.

    Args:
        level: level of the F1 score, `pixel` or `object`.
        strategy: fusion strategy of the metric's value, one of `fusion.STRATEGIES`.
        iou_threshold: IoU above which two objects match, at least 0.5.
        min_area: smallest area of an object in pixels.
        include_background: whether class 0 is scored; None scores it if there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        output_transform: function that extracts `PosedItem`s from the engine's output.

    Raises:
        InputError: the level or strategy is unknown, or the threshold is outside [0.5, 1).
    """

    def __init__(
        self,
        level: str = "object",
        strategy: str = "p_ens",
        *,
        iou_threshold: float = 0.5,
        min_area: int = 0,
        include_background: bool | None = None,
        ignore_index: int | None = None,
        output_transform: Callable = posed_items,
    ) -> None:
        if level not in LEVELS:
            raise InputError(f"level is '{level}'; choose {', '.join(LEVELS)}")
        self.level = level
        super().__init__(
            strategy,
            output_transform,
            iou_threshold=iou_threshold,
            min_area=min_area,
            include_background=include_background,
            ignore_index=ignore_index,
        )

    @reinit__is_reduced
    def reset(self) -> None:
        """Remove all counts."""
        self._counts: dict[tuple[int, str], np.ndarray] = {}
        self._object_truth: dict[int, str] = {}
        self._heads = 0

    @reinit__is_reduced
    def update(self, output: Iterable[PosedItem]) -> None:
        """Add the counts of posed images."""
        for prediction, label, objects, image, pose in output:
            probabilities = head_probabilities(prediction)
            self._heads = len(probabilities)
            self._object_truth[image] = "components" if objects is None else "instances"
            maps = class_maps(probabilities)
            self._counts[image, pose] = self.counts(maps, label, probabilities.shape[1], objects)

    def compute(self) -> float:
        """Return the mean absolute difference of the fused prediction over images and quarter turns."""
        scores = self.result()
        return float(np.abs(scores.differences(self.level, scores.final(self.strategy))).mean())

    def result(self) -> RotationScores:
        """Return the scores of all predictors for all images in all poses.

        Raises:
            NotComputableError: there is no image, or an image lacks a quarter turn or a pose of another image.
        """
        images = sorted(self._object_truth)
        poses = tuple(pose for pose in POSES if any((image, pose) in self._counts for image in images))
        missing = [(image, p) for image in images for p in {*POSES[:4], *poses} if (image, p) not in self._counts]
        if not images or missing:
            raise NotComputableError(f"F1Difference has seen no image in all its poses; missing: {missing[:3]}")
        return RotationScores(
            poses=poses,
            predictors=predictor_names(self._heads),
            counts=np.stack([np.stack([self._counts[image, pose] for pose in poses]) for image in images]),
            object_truth=tuple(self._object_truth[image] for image in images),
            iou_threshold=self.iou_threshold,
            min_area=self.min_area,
        )
