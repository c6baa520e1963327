"""What the metrics of a fused prediction have in common."""

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
    """One number of the fused prediction for Ignite; `result()` has the details of all predictions.

    The details are also put into `engine.state.metric_details` under the metric's name.

    Args:
        strategy: fusion strategy that stands for the network: one of `fusion.STRATEGIES`.
        output_transform: takes items out of the engine's output.
        device: where the sums are kept.

    Raises:
        InputError: for an unknown strategy.
    """

    def __init__(self, strategy: str, output_transform: Callable, device: str | torch.device = "cpu") -> None:
        if strategy not in STRATEGIES:
            raise InputError(f"fusion strategy is '{strategy}'; choose {', '.join(STRATEGIES)}")
        self.strategy = strategy
        super().__init__(output_transform, device, skip_unrolling=True)

    @abstractmethod
    def result(self) -> Any:
        """Return the details that the metric's value is taken from."""

    def completed(self, engine: Engine, name: str) -> None:
        """Put the value and the details into the engine's state."""
        super().completed(engine, name)
        if hasattr(engine.state, "metric_details"):
            engine.state.metric_details[name] = self.result()


class CountingMetric(FusedMetric):
    """A metric that follows from `segmentation_counts` of every image.

    Args:
        strategy: as for `FusedMetric`.
        iou_threshold: objects match where their IoU is above this; at least 0.5.
        min_area: connected areas of fewer pixels are no objects.
        include_background: whether class 0 counts; None: only where there are more than two classes.
        ignore_index: label value of pixels that are not counted.
        output_transform: as for `FusedMetric`.
        device: as for `FusedMetric`.

    Raises:
        InputError: for an unknown strategy, or a threshold outside [0.5, 1).
    """

    def __init__(
        self,
        strategy: str,
        iou_threshold: float,
        min_area: int,
        include_background: bool | None,
        ignore_index: int | None,
        output_transform: Callable,
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
        """Counts (P, C, 9) of the class maps (P, H, W) of one image; label (1, H, W), true objects alike or None."""
        return segmentation_counts(
            maps,
            convert_to_tensor(label, track_meta=False)[0],
            num_classes,
            None if objects is None else convert_to_tensor(objects, track_meta=False)[0],
            self.iou_threshold,
            self.min_area,
            self.include_background,
            self.ignore_index,
        )


def head_probabilities(prediction: torch.Tensor) -> torch.Tensor:
    """Probabilities (S, N, H, W) of every head, S = 1 for a network with one, without metadata, which is slow."""
    plain = convert_to_tensor(prediction, track_meta=False)
    return plain if plain.dim() == 4 else plain.unsqueeze(0)
