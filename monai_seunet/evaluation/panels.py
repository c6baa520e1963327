"""Handler that collects pictures of one image at several test scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import CommonKeys

from monai_seunet.drawing.panels import ScalePanels
from monai_seunet.fusion import fuse, group_weights, winning_scale
from monai_seunet.metrics import class_iou, class_mean, confusion_matrix
from monai_seunet.metrics.multi_scale import IMAGE_INDEX_KEY, SCALE_KEY
from monai_seunet.transforms.spatial.functional import resample


@dataclass(eq=False)
class PanelHandler:
    """Handler that collects predictions for the centre of one image at the scales nearest to powers of two.

    It stores the pictures in `engine.state.scale_panels` after the evaluation.

    Args:
        scales: test scales of the evaluation.
        classes: class names.
        image: index of the image, from 0.
        field: side of the central square in pixels at scale 1.
        side: side of the pictures in pixels.
        strategy: fusion strategy of the predictions.
        include_background: whether the background counts in the mean IoU; see `class_mean`.
        ignore_index: label value of pixels that are not scored.
    """

    scales: Sequence[float]
    classes: Sequence[str]
    image: int = 0
    field: int = 400
    side: int = 320
    strategy: str = "p_ens"
    include_background: bool | None = None
    ignore_index: int | None = None

    def __post_init__(self) -> None:
        self.scales = nearest_powers_of_two(self.scales)
        self._pictures: dict[float, dict[str, np.ndarray]] = {}
        self._scores: dict[float, float] = {}
        self._num_heads = 1

    def attach(self, engine: Workflow) -> None:
        """Attach the handler to an evaluator of a `ScaleDataset`."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.keep)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def keep(self, engine: Workflow) -> None:
        """Store the pictures if the batch has the chosen image at one of the chosen scales."""
        for item in engine.state.output:
            meta = item[CommonKeys.LABEL].meta
            scale = next((s for s in self.scales if abs(s / float(meta[SCALE_KEY]) - 1) < 1e-6), None)
            if scale is not None and int(meta[IMAGE_INDEX_KEY]) == self.image:
                keys = (CommonKeys.IMAGE, CommonKeys.LABEL, CommonKeys.PRED)
                self._keep(scale, *(item[key].as_tensor().cpu() for key in keys))

    def _keep(self, scale: float, image: torch.Tensor, label: torch.Tensor, probabilities: torch.Tensor) -> None:
        groups = probabilities.unsqueeze(0)
        weights = group_weights(groups, self.strategy)
        fused = fuse(groups, self.strategy, weights)[0].argmax(0, keepdim=True)
        counts = confusion_matrix(fused, label[0], len(self.classes), self.ignore_index)
        self._scores[scale] = float(class_mean(class_iou(counts), self.include_background)[0])
        self._num_heads = len(probabilities)
        winners = winning_scale(groups, self.strategy, weights)[0]
        self._pictures[scale] = {
            "images": _picture(self._crop(image, scale)),
            "labels": self._crop(label, scale)[0].numpy().astype(np.uint8),
            "predictions": self._crop(fused, scale)[0].numpy().astype(np.uint8),
            "winners": self._crop(winners, scale)[0].numpy().astype(np.uint8),
        }

    def _crop(self, values: torch.Tensor, scale: float) -> torch.Tensor:
        """Return the central field of (C, H, W), resampled to the size of the pictures."""
        height, width = values.shape[1:]
        field = min(round(self.field * scale), height, width)
        top, left = (height - field) // 2, (width - field) // 2
        piece = values[:, top : top + field, left : left + field]
        smooth = values.dtype.is_floating_point and field > self.side
        return resample(piece, (self.side, self.side), "bilinear" if smooth else "nearest")

    def finish(self, engine: Workflow) -> None:
        """Store the pictures in the engine's state, or None if the image was not evaluated."""
        engine.state.scale_panels = self.panels()

    def panels(self) -> ScalePanels | None:
        """Return the pictures in order of scale, or None if the image was not evaluated."""
        scales = tuple(sorted(self._pictures))
        if not scales:
            return None
        names = ("images", "labels", "predictions", "winners")
        stacked = {name: np.stack([self._pictures[scale][name] for scale in scales]) for name in names}
        classes = tuple(self.classes)
        scores = tuple(self._scores[scale] for scale in scales)
        return ScalePanels(scales=scales, scores=scores, num_heads=self._num_heads, classes=classes, **stacked)


def nearest_powers_of_two(scales: Sequence[float]) -> list[float]:
    """Return the test scales nearest to the powers of two in their range, without repetition."""
    logs = np.log2(np.asarray(scales, dtype=float))
    powers = range(int(np.ceil(logs.min() - 1e-9)), int(np.floor(logs.max() + 1e-9)) + 1)
    chosen = {int(np.abs(logs - power).argmin()) for power in powers} or {int(np.abs(logs).argmin())}
    return [scales[index] for index in sorted(chosen)]


def _picture(image: torch.Tensor) -> np.ndarray:
    """Convert (C, h, w) to (h, w, 3) uint8; [0, 1] maps to [0, 255], and a wider range is scaled down."""
    values = image.float()
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    grey_levels = (255 * (values - low) / (high - low)).round().to(torch.uint8)
    colours = grey_levels[:3] if len(grey_levels) >= 3 else grey_levels[:1].expand(3, -1, -1)
    return colours.permute(1, 2, 0).numpy()
