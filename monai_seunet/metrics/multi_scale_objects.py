"""Ignite metric that scores the objects of the fused prediction at every test scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.metrics.metric import reinit__is_reduced
from monai.utils import CommonKeys, convert_to_tensor

from monai_seunet.fusion import fuse, fuse_directions, group_weights
from monai_seunet.metrics.calibration.counts import BINS, Calibration, count_probabilities
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.fused_metric import FusedMetric, head_probabilities
from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY, SCALE_KEY
from monai_seunet.metrics.objects.overlaps import Overlaps, object_means, object_overlaps
from monai_seunet.metrics.objects.scores import COLUMNS, SCORES, THRESHOLDS, ObjectScores, overlap_counts
from monai_seunet.metrics.scale_scores import scale_index
from monai_seunet.metrics.segmentation_score import OBJECTS_KEY

DIRECTIONS_KEY = "directions"

#: (fused probabilities (N, H, W), test scale, fused directions (2, H, W) or None) -> instance map (H, W)
Finder = Callable[[torch.Tensor, float, torch.Tensor | None], np.ndarray]
Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor, float, int, torch.Tensor | None]


def scaled_objects(output: Any) -> list[Item]:
    """Extract predictions, labels, true objects, test scales, image indices and directions from an evaluator's output.

    Args:
        output: list of dictionaries with `pred` (S, N, H, W) or (N, H, W), `label` (1, H, W), `objects` (1, H, W) and
            optionally `directions` (S, 2, H, W) or (2, H, W). The meta data of `objects`, an instance map, hold
            `test_scale` (default 1) and `test_image` (default 0). Items without `objects` are left out.
    """
    items = []
    for item in output:
        objects = item.get(OBJECTS_KEY)
        if objects is not None:
            meta = getattr(objects, "meta", {})
            scale, image = float(meta.get(SCALE_KEY, 1.0)), int(meta.get(IMAGE_INDEX_KEY, 0))
            directions = item.get(DIRECTIONS_KEY)
            items.append((item[CommonKeys.PRED], item[CommonKeys.LABEL], objects, scale, image, directions))
    return items


class MultiScaleObjects(FusedMetric):
    """AJI, PQ, F1 and average precisions of the objects at every test scale; `result()` returns those of each image.

    `result()` also counts the predicted objects by their mean foreground probability, see `Calibration`.
    The metric's value is the mean of `score` over the images, averaged over the scales; NaN without any object. It
    supports several processes.

    Args:
        finder: function that finds objects in the fused probabilities at a test scale, see `NucleusFinder`.
        scales: test scales.
        score: name of the metric's value in `objects.scores.SCORES`.
        strategy: fusion strategy of the probabilities in which objects are found.
        ignore_index: label value of pixels that are removed from true and predicted objects.
        output_transform: function that extracts items from the engine's output, see `scaled_objects`.
        device: device of the counts.

    Raises:
        InputError: the strategy is unknown.
        ValueError: the score is unknown, or the scale of an image is not in `scales`.
    """

    def __init__(
        self,
        finder: Finder,
        scales: Sequence[float] = (1.0,),
        score: str = "aji",
        strategy: str = "p_ens",
        ignore_index: int | None = None,
        output_transform: Callable = scaled_objects,
        device: str | torch.device = "cpu",
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"score is '{score}'; choose {', '.join(SCORES)}")
        self.finder, self.scales, self.score = finder, tuple(float(scale) for scale in scales), score
        self.ignore_index = ignore_index
        super().__init__(strategy, output_transform, device)

    @reinit__is_reduced
    def reset(self) -> None:
        """Remove all counts."""
        self._rows: list[list[float]] = []  # index of the scale, index of the image, counts, counts of probabilities

    @reinit__is_reduced
    def update(self, output: Iterable[Item]) -> None:
        """Add the counts of images.

        Args:
            output: tuples of probabilities (S, N, H, W) or (N, H, W), label (1, H, W), instance map (1, H, W), test
                scale, index of the image, and directions or None.
        """
        for prediction, label, objects, scale, image, directions in output:
            probabilities = head_probabilities(prediction).unsqueeze(0)
            weights = group_weights(probabilities, self.strategy)
            fused_directions = None
            if directions is not None:
                direction_heads = head_probabilities(directions).unsqueeze(0)
                fused_directions = fuse_directions(direction_heads, probabilities, weights)[0]
            fused = fuse(probabilities, self.strategy, weights)[0]
            predicted = self.finder(fused, scale, fused_directions)
            truth, classes = (convert_to_tensor(x, track_meta=False)[0].numpy(force=True) for x in (objects, label))
            if self.ignore_index is not None:
                valid = classes != self.ignore_index
                truth, predicted = truth * valid, predicted * valid
            overlaps = object_overlaps(truth, predicted)
            confidences = object_means(fused[1:].sum(0).numpy(force=True), predicted)
            row = np.concatenate([overlap_counts(overlaps), _count_matches(overlaps, confidences)])
            self._rows.append([scale_index(self.scales, scale), image, *row.tolist()])

    def compute(self) -> float:
        """Return the mean of the score over the scales."""
        return float(nan_mean(self.result().curve(self.score)))

    def result(self) -> ObjectScores:
        """Return the counts of all images whose objects are known, at all scales."""
        process_rows = torch.tensor(self._rows, dtype=torch.float64).reshape(-1, 2 + len(COLUMNS) + 3 * BINS)
        gathered: Any = process_rows
        if idist.get_world_size() > 1:
            lengths: Any = idist.all_gather(len(process_rows))
            shapes = [[int(length), process_rows.shape[1]] for length in lengths]
            gathered = torch.cat(idist.all_gather_tensors_with_shapes(process_rows, shapes))
        rows = gathered.numpy(force=True)
        scale_indices, images = rows[:, 0].astype(int), rows[:, 1].astype(int)
        image_indices = np.unique(images)
        values = np.full((len(self.scales), len(image_indices), rows.shape[1] - 2), np.nan)
        values[scale_indices, np.searchsorted(image_indices, images)] = rows[:, 2:]
        counts, confidences = np.split(values, [len(COLUMNS)], axis=-1)
        calibration = Calibration.of_counts(np.nansum(confidences, 1).reshape(-1, 3, BINS))
        return ObjectScores(self.scales, counts, calibration)


def _count_matches(overlaps: Overlaps, confidences: np.ndarray) -> np.ndarray:
    """Return the counts (3 * BINS,) of the predicted objects of an image by their confidences (P,)."""
    matched = np.zeros(len(confidences), bool)
    matched[overlaps.prediction[overlaps.iou > THRESHOLDS[0]]] = True
    return count_probabilities(torch.from_numpy(confidences), torch.from_numpy(matched)).numpy().ravel()
