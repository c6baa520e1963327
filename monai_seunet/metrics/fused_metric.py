"""Base classes of the metrics of a fused prediction."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from ignite.metrics import Metric
from monai.utils import convert_to_tensor

from monai_seunet.fusion import STRATEGIES
from monai_seunet.metrics.objects.overlaps import check_threshold
from monai_seunet.metrics.segmentation_counts import segmentation_counts
from monai_seunet.utils.errors import InputError


class FusedMetric(Metric):
    """An Ignite metric of the fused prediction; `result()` returns the details of all predictions.

    The details are also stored in `engine.state.metric_details` under the name of the metric.

    Args:
        strategy: fusion strategy of the metric's value, one of `fusion.STRATEGIES`.
        output_transform: function that extracts items from the engine's output.
        device: device of the sums.

    Raises:
        InputError: the strategy is unknown.
    """

    def __init__(self, strategy: str, output_transform: Callable, device: str | torch.device = "cpu") -> None:
        if strategy not in STRATEGIES:
            raise InputError(f"fusion strategy is '{strategy}'; choose {', '.join(STRATEGIES)}")
        self.strategy = strategy
        super().__init__(output_transform, device, skip_unrolling=True)

    @abstractmethod
    def result(self) -> Any:
        """Return the details that determine the metric's value."""

    def completed(self, engine: Engine, name: str) -> None:
        """Store the value and the details in the engine's state."""
        super().completed(engine, name)
        if hasattr(engine.state, "metric_details"):
            engine.state.metric_details[name] = self.result()


class CountingMetric(FusedMetric):
    """A metric that is computed from the `segmentation_counts` of every image.

    Args:
        strategy: fusion strategy of the metric's value, one of `fusion.STRATEGIES`.
        output_transform: function that extracts items from the engine's output.
        iou_threshold: IoU above which two objects match, at least 0.5.
        min_area: smallest area of an object in pixels.
        include_background: whether class 0 is scored; None scores it if there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        device: device of the sums.

    Raises:
        InputError: the strategy is unknown, or the threshold is outside [0.5, 1).
    """

    def __init__(
        self,
        strategy: str,
        output_transform: Callable,
        iou_threshold: float = 0.5,
        min_area: int = 0,
        include_background: bool | None = None,
        ignore_index: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        check_threshold(iou_threshold)
        self.iou_threshold = iou_threshold
        self.min_area = min_area
        self.include_background = include_background
        self.ignore_index = ignore_index
        super().__init__(strategy, output_transform, device)

    def counts(
        self, maps: torch.Tensor, label: torch.Tensor, num_classes: int, objects: torch.Tensor | None
    ) -> np.ndarray:
        """Return the counts (P, C, 9) of class maps (P, H, W), a label (1, H, W) and true objects (1, H, W) or None."""
        return segmentation_counts(
            maps,
            convert_to_tensor(label, track_meta=False)[0],
            num_classes,
            instances=None if objects is None else convert_to_tensor(objects, track_meta=False)[0],
            iou_threshold=self.iou_threshold,
            min_area=self.min_area,
            include_background=self.include_background,
            ignore_index=self.ignore_index,
        )


def head_probabilities(prediction: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (S, N, H, W) of all S heads without meta data, which slows down every operation."""
    plain = convert_to_tensor(prediction, track_meta=False)
    return plain if plain.dim() == 4 else plain.unsqueeze(0)
