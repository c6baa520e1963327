"""Ignite metric of the pixel-wise and object-wise scores of the fused prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ignite.exceptions import NotComputableError
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce
from monai.utils import CommonKeys

from monai_seunet.fusion import fuse
from monai_seunet.metrics.fused_metric import CountingMetric, head_probabilities
from monai_seunet.metrics.segmentation_counts import SCORES, segmentation_scores
from monai_seunet.utils.errors import InputError

OBJECTS_KEY = "objects"


@dataclass(frozen=True)
class SegmentationScores:
    """All scores of one prediction of a data set.

    Attributes:
        mean: mean of each score over the images; images with 0/0 do not count.
        pooled: scores of the summed counts of all images.
        images: number of images.
    """

    mean: dict[str, float]
    pooled: dict[str, float]
    images: int


def object_items(output: Any) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
    """Extract predictions, labels and true objects (or None) from an evaluator's decollated output.

    Args:
        output: list of dictionaries with `pred` (S, N, H, W) or (N, H, W), `label` (1, H, W) and optionally `objects`
            (1, H, W), an instance map.
    """
    return [(item[CommonKeys.PRED], item[CommonKeys.LABEL], item.get(OBJECTS_KEY)) for item in output]


class SegmentationScore(CountingMetric):
    """The mean of a score of the fused prediction over the images; `result()` returns all scores.

    It supports several processes.
    The true objects are the output `objects` of the evaluator, or else the connected areas of the label. To keep the
    instances of a label that is converted to classes, copy `label` to `instances` before the conversion, and
    `instances` to `objects` in the postprocessing (`CopyItemsd`).

    Args:
        score: name of the score in `SCORES`, such as `object_f1`, `aji` or `pq`.
        strategy: fusion strategy of the metric's value, one of `fusion.STRATEGIES`.
        iou_threshold: IoU above which two objects match, at least 0.5.
        min_area: smallest area of an object in pixels.
        include_background: whether class 0 is scored; None scores it if there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        output_transform: function that extracts triples (prediction, label, instances or None) from the engine's
            output.
        device: device of the sums.

    Raises:
        InputError: the score or strategy is unknown, or the threshold is outside [0.5, 1).
    """

    def __init__(
        self,
        score: str = "object_f1",
        strategy: str = "p_ens",
        *,
        iou_threshold: float = 0.5,
        min_area: int = 0,
        include_background: bool | None = None,
        ignore_index: int | None = None,
        output_transform: Callable = object_items,
        device: str | torch.device = "cpu",
    ) -> None:
        if score not in SCORES:
            raise InputError(f"score is '{score}'; choose {', '.join(SCORES)}")
        self.score = score
        super().__init__(
            strategy,
            output_transform,
            iou_threshold=iou_threshold,
            min_area=min_area,
            include_background=include_background,
            ignore_index=ignore_index,
            device=device,
        )

    @reinit__is_reduced
    def reset(self) -> None:
        """Remove all counts."""
        self._counts = torch.zeros(0, dtype=torch.float64)
        self._sums = torch.zeros(len(SCORES), dtype=torch.float64)
        self._scored = torch.zeros(len(SCORES), dtype=torch.float64)
        self._images = torch.zeros(1, dtype=torch.float64)

    @reinit__is_reduced
    def update(self, output: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]) -> None:
        """Add the counts of images.

        Args:
            output: triples of probabilities (S, N, H, W) or (N, H, W), label (1, H, W), instances (1, H, W) or None.
        """
        for prediction, label, instances in output:
            probabilities = head_probabilities(prediction)
            fused = fuse(probabilities.unsqueeze(0), self.strategy).max(1).indices
            self._add(self.counts(fused, label, probabilities.shape[1], instances)[0])

    def compute(self) -> float:
        """Return the mean of the score over the images."""
        return self.result().mean[self.score]

    @sync_all_reduce("_counts", "_sums", "_scored", "_images")
    def result(self) -> SegmentationScores:
        """Return all scores."""
        if not len(self._counts):
            raise NotComputableError("SegmentationScore has seen no image")
        means = (self._sums / self._scored).tolist()
        pooled = segmentation_scores(self._counts.numpy(force=True))
        return SegmentationScores(
            mean=dict(zip(SCORES, means, strict=True)),
            pooled={name: float(pooled[name]) for name in SCORES},
            images=int(self._images),
        )

    def _add(self, counts: np.ndarray) -> None:
        by_name = segmentation_scores(counts)
        scores = torch.tensor([float(by_name[name]) for name in SCORES], dtype=torch.float64)
        total = torch.as_tensor(counts, dtype=torch.float64).to(self._device)
        self._counts = total if not len(self._counts) else self._counts + total
        self._sums += scores.nan_to_num(0.0).to(self._sums.device)
        self._scored += (~scores.isnan()).to(self._scored.device)
        self._images += 1
