"""Ignite metric that scores every scale group and every fusion at every test scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from ignite.exceptions import NotComputableError
from ignite.metrics.metric import reinit__is_reduced, sync_all_reduce
from monai.utils import CommonKeys, convert_to_tensor

from monai_seunet.fusion import STRATEGIES, fuse, group_weights
from monai_seunet.metrics.calibration.counts import BINS, Calibration, count_probabilities
from monai_seunet.metrics.confusion import class_iou, class_mean, confusion_matrix
from monai_seunet.metrics.fused_metric import FusedMetric, head_probabilities
from monai_seunet.metrics.scale_scores import ScaleScores, predictor_names, scale_index

SCALE_KEY = "test_scale"
IMAGE_INDEX_KEY = "test_image"
_STRIP_PIXELS = 1 << 16  # number of pixels that fit the cache


def scored_items(output: Any) -> list[tuple[torch.Tensor, torch.Tensor, float]]:
    """Extract predictions, labels and test scales from an evaluator's decollated output.

    The test scale is `test_scale` in the meta data of the label, by default 1.

    Args:
        output: list of dictionaries with `pred` (S, N, H, W) or (N, H, W) and `label` (1, H, W).

    Returns:
        one triple (prediction, label, scale) for each image.
    """
    pairs = [(item[CommonKeys.PRED], item[CommonKeys.LABEL]) for item in output]
    return [(pred, label, float(getattr(label, "meta", {}).get(SCALE_KEY, 1.0))) for pred, label in pairs]


def fusions(probabilities: torch.Tensor, weights: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    """Return the fused probabilities (1, N, H, W) by strategy; empty if there is one head.

    Args:
        probabilities: probabilities (S, N, H, W) of the heads.
        weights: weights (1, S, H, W) for `p_conf`, see `fuse`.
    """
    names = STRATEGIES if len(probabilities) > 1 else ()
    return {name: fuse(probabilities[None], name, weights if name == "p_conf" else None) for name in names}


def class_maps(probabilities: torch.Tensor, fused: Mapping[str, torch.Tensor] | None = None) -> torch.Tensor:
    """Return the class maps of each head and of each fusion of the heads.

    Args:
        probabilities: probabilities (S, N, H, W) of the heads.
        fused: their `fusions`, or None to compute them.

    Returns:
        class indices (P, H, W) in the order of `predictor_names`.
    """
    predictions = [probabilities, *(fusions(probabilities) if fused is None else fused).values()]
    return torch.cat([prediction.max(1).indices for prediction in predictions])  # max is ten times as fast as argmax


class MultiScaleScore(FusedMetric):
    """IoU and Dice of every head and every fusion strategy at every test scale, from confusion matrices.

    The matrices are summed over all images of a scale, so a score describes the whole data set; the mean over the
    images is stored, too. The metric's value is the mean score of `strategy` over the scales: IoU of the foreground for
    two classes, mIoU for more. `result()` returns all details. It supports several processes. An image that is too
    small for the last heads counts for the other heads and for the fusions. The foreground probabilities of `strategy`
    are counted, too, see `Calibration`.

    Args:
        scales: test scales of the labels.
        strategy: fusion strategy of the metric's value, one of `fusion.STRATEGIES`.
        include_background: whether class 0 is scored; None scores it if there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        output_transform: function that extracts triples (prediction, label, scale) from the engine's output.
        device: device of the counts.

    Raises:
        InputError: the strategy is unknown.
        ValueError: the scale of a label is not in `scales`, or the number of classes changes.
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
        """Remove all counts."""
        self._confusion = torch.zeros(0, dtype=torch.int64)
        self._image_scores = torch.zeros(0, dtype=torch.float64)
        self._images = torch.zeros(0, dtype=torch.float64)  # images in which a scored class occurs
        self._seen = torch.zeros(len(self.scales), dtype=torch.int64, device=self._device)
        self._calibration = torch.zeros(len(self.scales), 3, BINS, dtype=torch.int64, device=self._device)

    @reinit__is_reduced
    def update(self, output: Iterable[tuple[torch.Tensor, torch.Tensor, float]]) -> None:
        """Add the counts of images.

        Args:
            output: triples of probabilities (S, N, H, W) or (N, H, W), label (1, H, W) and test scale.
        """
        for prediction, label, scale in output:
            probabilities = head_probabilities(prediction)
            counts, calibration = self._count(probabilities, convert_to_tensor(label, track_meta=False)[0])
            index = scale_index(self.scales, scale)
            self._add(index, counts.to(self._device))
            self._calibration[index] += calibration.to(self._device)
            self._seen[index] += 1

    def compute(self) -> float:
        """Return the mean score of the fused prediction over the scales."""
        scores = self.result()
        return scores.mean(scores.final(self.strategy))

    @sync_all_reduce("_confusion", "_image_scores", "_images", "_seen", "_calibration")
    def result(self) -> ScaleScores:
        """Return the scores of all predictors at all scales."""
        if not len(self._confusion):
            raise NotComputableError("MultiScaleScore has seen no image")
        predictors = predictor_names(_heads(self._confusion.shape[1]))
        final = self.strategy if len(predictors) > 1 else predictors[0]
        return ScaleScores(
            scales=self.scales,
            predictors=predictors,
            confusion=self._confusion.cpu().numpy().copy(),
            image_scores=(self._image_scores / self._images).cpu().numpy(),
            images=int(self._seen.max()),
            include_background=self.include_background,
            calibration={final: Calibration.of_counts(self._calibration.cpu().numpy())},
        )

    def _count(self, probabilities: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return confusion matrices (P, N, N) and counts of probabilities of one image, in strips to save memory."""
        rows = max(1, _STRIP_PIXELS // label.shape[-1])
        weights = group_weights(probabilities[None], "p_conf") if len(probabilities) > 1 else None
        bands, truths = probabilities.split(rows, dim=2), label.split(rows)
        weight_bands = [None] * len(bands) if weights is None else weights.split(rows, dim=2)
        counts = []
        for band, weight, truth in zip(bands, weight_bands, truths, strict=True):
            fused = fusions(band, weight)
            maps = class_maps(band, fused)
            confusion = confusion_matrix(maps, truth, probabilities.shape[1], self.ignore_index)
            foreground = fused.get(self.strategy, band)[0, 1:].sum(0)
            counted = slice(None) if self.ignore_index is None else truth != self.ignore_index
            counts.append((confusion, count_probabilities(foreground[counted], truth[counted] > 0)))
        confusions, calibrations = zip(*counts, strict=True)
        return torch.stack(confusions).sum(0), torch.stack(calibrations).sum(0)

    def _add(self, index: int, counts: torch.Tensor) -> None:
        if not len(self._confusion):
            self._confusion = counts.new_zeros((len(self.scales), *counts.shape))
            self._image_scores = counts.new_zeros((len(self.scales), len(counts)), dtype=torch.float64)
            self._images = torch.zeros_like(self._image_scores)
        if self._confusion.shape[2:] != counts.shape[1:]:
            raise ValueError(
                f"a prediction has {counts.shape[1]} classes, but earlier ones had {self._confusion.shape[2]}"
            )
        score = class_mean(class_iou(counts), self.include_background)
        heads = max(_heads(len(counts)), _heads(self._confusion.shape[1]))
        self._confusion = _for_heads(self._confusion, heads, 1)
        self._image_scores, self._images = (_for_heads(x, heads, 1) for x in (self._image_scores, self._images))
        self._confusion[index] += _for_heads(counts, heads, 0)
        self._image_scores[index] += _for_heads(score.nan_to_num(0.0), heads, 0)
        self._images[index] += _for_heads((~score.isnan()).to(torch.float64), heads, 0)


def _heads(predictors: int) -> int:
    """Return the number of heads among the predictors, see `predictor_names`."""
    return 1 if predictors == 1 else predictors - len(STRATEGIES)


def _for_heads(values: torch.Tensor, heads: int, dim: int) -> torch.Tensor:
    """Extend the values of all predictors to more heads by zeros; every fusion of one head is equal to the head."""
    count = _heads(values.shape[dim])
    if count == heads:
        return values
    of_heads = values.narrow(dim, 0, count)
    fused = values.narrow(dim, count, len(STRATEGIES)) if count > 1 else torch.cat([of_heads] * len(STRATEGIES), dim)
    missing = torch.zeros_like(of_heads.narrow(dim, 0, 1))
    return torch.cat([of_heads, *[missing] * (heads - count), fused], dim)
