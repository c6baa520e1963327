"""Ignite metric that scores every scale group and every fusion of them at every test scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce
from monai.utils import CommonKeys, convert_to_tensor

from monai_seunet.fusion import STRATEGIES, fuse, group_weights
from monai_seunet.metrics.confusion import class_iou, class_mean, confusion_matrix
from monai_seunet.metrics.fused_metric import FusedMetric, head_probabilities
from monai_seunet.metrics.scale_scores import ScaleScores, predictor_names

SCALE_KEY = "test_scale"
IMAGE_INDEX_KEY = "test_image"
_STRIP_PIXELS = 1 << 16  # that fit into the cache


def scored_items(output: Any) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
    """Take predictions, labels and test scales out of an evaluator's decollated output.

    The test scale is read from the label's metadata (`test_scale`); a label without it is at scale 1.

    Args:
        output: list of dictionaries with `pred` (S, N, H, W) or (N, H, W) and `label` (1, H, W).

    Returns:
        One (prediction, label, scale) per image.
    """
    items = []
    for item in output:
        label = item[CommonKeys.LABEL]
        items.append((item[CommonKeys.PRED], label, float(getattr(label, "meta", {}).get(SCALE_KEY, 1.0))))
    return items


def class_maps(probabilities: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Class that each head, and each fusion of the heads, gives to each pixel.

    Args:
        probabilities: (S, N, H, W)
        weights: (1, S, H, W) for `p_conf`, see `fuse`.

    Returns:
        (P, H, W) class indices in the order of `predictor_names`.
    """
    predictions = [probabilities]
    if len(probabilities) > 1:
        predictions += [
            fuse(probabilities[None], strategy, weights if strategy == "p_conf" else None) for strategy in STRATEGIES
        ]
    return torch.cat([prediction.max(1).indices for prediction in predictions])  # ten times as fast as argmax


class MultiScaleScore(FusedMetric):
    """IoU and Dice of every head and every fusion strategy at every test scale, from confusion matrices.

    The matrices are summed over all pixels of all images of a scale, so a score is that of the whole data set and not
    a mean of images (which is kept beside it). The metric's value is the mean over the scales of the score of
    `strategy`: IoU of the foreground for two classes, mIoU for more. `result()` has everything; it is also put into
    `engine.state.metric_details` under the metric's name. Works over several processes. An image that is too small for
    the last heads counts for the others and for the fusions.

    Args:
        scales: test scales that the labels' metadata may name.
        strategy: fusion strategy that stands for the network: one of `fusion.STRATEGIES`.
        include_background: whether class 0 counts; None: only where there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        output_transform: takes (prediction, label, scale) triples out of the engine's output.
        device: where the counts are kept.

    Raises:
        InputError: for an unknown strategy.
        ValueError: for a label at a scale that is not in `scales`, or a change in the number of classes.
    """

    def __init__(
        self,
        scales: Sequence[float] = (1.0,),
        strategy: str = "p_ens",
        include_background: bool | None = None,
        ignore_index: int | None = None,
        output_transform: Callable = scored_items,
        device: str | torch.device = "cpu",
    ) -> None:
        self.scales = tuple(float(scale) for scale in scales)
        self.include_background = include_background
        self.ignore_index = ignore_index
        super().__init__(strategy, output_transform, device)

    @reinit__is_reduced
    def reset(self) -> None:
        """Forget all counts."""
        self._confusion = torch.zeros(0, dtype=torch.int64)
        self._image_scores = torch.zeros(0, dtype=torch.float64)
        self._images = torch.zeros(0, dtype=torch.float64)  # that have a score: neither empty nor found empty
        self._seen = torch.zeros(len(self.scales), dtype=torch.int64, device=self._device)

    @reinit__is_reduced
    def update(self, output: Iterable[tuple[torch.Tensor, torch.Tensor, float]]) -> None:
        """Count the predictions of some images.

        Args:
            output: triples of probabilities (S, N, H, W) or (N, H, W), label (1, H, W) and test scale.
        """
        for prediction, label, scale in output:
            probabilities = head_probabilities(prediction)
            counts = self._count(probabilities, convert_to_tensor(label, track_meta=False)[0])
            index = self._index(scale)
            self._add(index, counts.to(self._device))
            self._seen[index] += 1

    def compute(self) -> float:
        """Return the mean over the scales of the score of the fused prediction."""
        scores = self.result()
        return scores.mean(scores.final(self.strategy))

    @sync_all_reduce("_confusion", "_image_scores", "_images", "_seen")
    def result(self) -> ScaleScores:
        """Return the scores of all predictors at all scales."""
        if not len(self._confusion):
            raise NotComputableError("MultiScaleScore has seen no image")
        predictors = self._confusion.shape[1]
        return ScaleScores(
            scales=self.scales,
            predictors=predictor_names(_heads(predictors)),
            confusion=self._confusion.cpu().numpy().copy(),
            image_scores=(self._image_scores / self._images).cpu().numpy(),
            images=int(self._seen.max()),
            include_background=self.include_background,
        )

    def _index(self, scale: float) -> int:
        for index, known in enumerate(self.scales):
            if abs(scale / known - 1) < 1e-6:
                return index
        raise ValueError(f"a label is at test scale {scale}, which is not among the metric's scales {self.scales}")

    def _count(self, probabilities: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Confusion matrices (P, N, N) of one image, strip by strip since an enlarged image is large."""
        rows = max(1, _STRIP_PIXELS // label.shape[-1])
        weights = group_weights(probabilities[None], "p_conf") if len(probabilities) > 1 else None
        bands = probabilities.split(rows, dim=2)
        parts = map(class_maps, bands, [None] * len(bands) if weights is None else weights.split(rows, dim=2))
        classes, truths = probabilities.shape[1], label.split(rows)
        counts = [
            confusion_matrix(part, truth, classes, self.ignore_index) for part, truth in zip(parts, truths, strict=True)
        ]
        return torch.stack(counts).sum(0)

    def _add(self, index: int, counts: torch.Tensor) -> None:
        if not len(self._confusion):
            self._confusion = counts.new_zeros((len(self.scales), *counts.shape))
            self._image_scores = counts.new_zeros((len(self.scales), len(counts)), dtype=torch.float64)
            self._images = torch.zeros_like(self._image_scores)
        if self._confusion.shape[2:] != counts.shape[1:]:
            raise ValueError(
                f"a prediction has {counts.shape[1]} classes where earlier ones had {self._confusion.shape[2]}"
            )
        score = class_mean(class_iou(counts), self.include_background)
        heads = max(_heads(len(counts)), _heads(self._confusion.shape[1]))
        self._confusion = _for_heads(self._confusion, heads, 1)
        self._image_scores, self._images = (_for_heads(x, heads, 1) for x in (self._image_scores, self._images))
        self._confusion[index] += _for_heads(counts, heads, 0)
        self._image_scores[index] += _for_heads(score.nan_to_num(0.0), heads, 0)
        self._images[index] += _for_heads((~score.isnan()).to(torch.float64), heads, 0)


def _heads(predictors: int) -> int:
    """Heads among the predictors, see `predictor_names`."""
    return 1 if predictors == 1 else predictors - len(STRATEGIES)


def _for_heads(values: torch.Tensor, heads: int, dim: int) -> torch.Tensor:
    """Values of all predictors for more heads: 0 for those that are missing; one head is its own fusion."""
    known = _heads(values.shape[dim])
    if known == heads:
        return values
    own = values.narrow(dim, 0, known)
    fused = values.narrow(dim, known, len(STRATEGIES)) if known > 1 else torch.cat([own] * len(STRATEGIES), dim)
    missing = torch.zeros_like(own.narrow(dim, 0, 1))
    return torch.cat([own, *[missing] * (heads - known), fused], dim)
