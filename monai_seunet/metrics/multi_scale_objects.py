"""Ignite metric that scores the single objects of the fused prediction at every test scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.metrics.metric import reinit__is_reduced
from monai.utils import CommonKeys, convert_to_tensor

from monai_seunet.fusion import fuse, fuse_directions, group_weights
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.fused_metric import FusedMetric, head_probabilities
from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY, SCALE_KEY
from monai_seunet.metrics.objects.scores import COLUMNS, SCORES, ObjectScores, count_objects
from monai_seunet.metrics.segmentation_score import OBJECTS_KEY

DIRECTIONS_KEY = "directions"

#: (fused probabilities (N, H, W), test scale, fused directions (2, H, W) or None) -> instance map (H, W)
Finder = Callable[[torch.Tensor, float, torch.Tensor | None], np.ndarray]
Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor, float, int, torch.Tensor | None]


def scaled_objects(output: Any) -> list[Item]:
    """Take predictions, labels, true objects, test scale, number of the image and directions out of each output.

    Args:
        output: list of dictionaries with `pred` (S, N, H, W) or (N, H, W), `label` (1, H, W) and `objects` (1, H, W),
            an instance map with `test_scale` and `test_image` in its metadata; without these, of image 0 at scale 1.
            `directions` (S, 2, H, W) or (2, H, W) may be there. Items without `objects` are left out.
    """
    items = []
    for item in output:
        objects = item.get(OBJECTS_KEY)
        if objects is not None:
            meta = getattr(objects, "meta", {})
            place = float(meta.get(SCALE_KEY, 1.0)), int(meta.get(IMAGE_INDEX_KEY, 0))
            items.append((item[CommonKeys.PRED], item[CommonKeys.LABEL], objects, *place, item.get(DIRECTIONS_KEY)))
    return items


class MultiScaleObjects(FusedMetric):
    """AJI, PQ, F1 and average precisions of the objects at every test scale; `result()` has them image by image.

    The metric's value is the mean over the scales of `score`, each the mean over the images; NaN where there is none.
    Works over several processes.

    Args:
        finder: makes objects of the fused probabilities at a test scale, see `NucleusFinder`.
        scales: test scales.
        score: which of `object_scores.SCORES` is the metric's value.
        strategy: fusion strategy.
        ignore_index: label value of pixels that belong to no object, neither true nor found.
        output_transform: takes items out of the engine's output, see `scaled_objects`.
        device: where the counts are kept.

    Raises:
        InputError: for an unknown strategy.
        ValueError: for an unknown score, or an image at a scale that is not in `scales`.
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
        """Forget all counts."""
        self._rows: list[list[float]] = []  # place of the scale, number of the image, counts

    @reinit__is_reduced
    def update(self, output: Iterable[Item]) -> None:
        """Count the objects of some images.

        Args:
            output: probabilities (S, N, H, W) or (N, H, W), label and instance map (1, H, W), test scale, number of the
                image, directions or None.
        """
        for prediction, label, objects, scale, image, directions in output:
            probabilities = head_probabilities(prediction).unsqueeze(0)
            weights = group_weights(probabilities, self.strategy)
            towards = None
            if directions is not None:
                towards = fuse_directions(head_probabilities(directions).unsqueeze(0), probabilities, weights)[0]
            found = self.finder(fuse(probabilities, self.strategy, weights)[0], scale, towards)
            truth, classes = (convert_to_tensor(x, track_meta=False)[0].numpy(force=True) for x in (objects, label))
            if self.ignore_index is not None:
                seen = classes != self.ignore_index
                truth, found = truth * seen, found * seen
            self._rows.append([self._place(scale), image, *count_objects(truth, found).tolist()])

    def compute(self) -> float:
        """Return the mean over the scales of the score."""
        return float(nan_mean(self.result().curve(self.score)))

    def result(self) -> ObjectScores:
        """Return the counts of all images at all scales; of no image where the objects of none are known."""
        own = torch.tensor(self._rows, dtype=torch.float64).reshape(-1, 2 + len(COLUMNS))
        gathered: Any = own
        if idist.get_world_size() > 1:
            gathered = torch.cat(idist.all_gather_tensors_with_shapes(own, self._shapes(own)))
        rows = gathered.numpy(force=True)
        places, images = rows[:, 0].astype(int), rows[:, 1].astype(int)
        known = np.unique(images)
        counts = np.full((len(self.scales), len(known), len(COLUMNS)), np.nan)
        counts[places, np.searchsorted(known, images)] = rows[:, 2:]
        return ObjectScores(self.scales, counts)

    @staticmethod
    def _shapes(own: torch.Tensor) -> list[list[int]]:
        lengths: Any = idist.all_gather(len(own))
        return [[int(length), own.shape[1]] for length in lengths]

    def _place(self, scale: float) -> int:
        for place, known in enumerate(self.scales):
            if abs(scale / known - 1) < 1e-6:
                return place
        raise ValueError(f"an image is at test scale {scale}, which is not among the metric's scales {self.scales}")
