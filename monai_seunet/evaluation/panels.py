"""Handler that keeps pictures of one field of one image at some test scales."""

from __future__ import annotations

from collections.abc import Sequence

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


class PanelHandler:
    """Keep what a network makes of the middle of one image at the scales nearest to powers of two.

    The pictures are put into `engine.state.scale_panels` at the end.

    Args:
        scales: test scales of the evaluation.
        classes: class names.
        image: which image, counted from 0.
        field: side of the square in the middle that is shown, in pixels at scale 1.
        side: side of the pictures in pixels.
        strategy: fusion strategy that is shown.
        include_background: as in `class_mean`.
        ignore_index: label value of pixels that are not scored.
    """

    def __init__(
        self,
        scales: Sequence[float],
        classes: Sequence[str],
        image: int = 0,
        field: int = 400,
        side: int = 320,
        strategy: str = "p_ens",
        include_background: bool | None = None,
        ignore_index: int | None = None,
    ) -> None:
        self.scales = nearest_powers_of_two(scales)
        self.classes = tuple(classes)
        self.image = image
        self.field = field
        self.side = side
        self.strategy = strategy
        self.include_background = include_background
        self.ignore_index = ignore_index
        self._kept: dict[float, dict[str, np.ndarray]] = {}
        self._scores: dict[float, float] = {}
        self._num_heads = 1

    def attach(self, engine: Workflow) -> None:
        """Follow the iterations of an evaluator over a `ScaleDataset`."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.keep)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def keep(self, engine: Workflow) -> None:
        """Keep the pictures where this is the image at one of the scales."""
        for item in engine.state.output:
            meta = item[CommonKeys.LABEL].meta
            scale = next((s for s in self.scales if abs(s / float(meta[SCALE_KEY]) - 1) < 1e-6), None)
            if scale is not None and int(meta[IMAGE_INDEX_KEY]) == self.image:
                image, label, prediction = (
                    item[key].as_tensor().cpu() for key in (CommonKeys.IMAGE, CommonKeys.LABEL, CommonKeys.PRED)
                )
                self._keep(scale, image, label, prediction)

    def _keep(self, scale: float, image: torch.Tensor, label: torch.Tensor, probabilities: torch.Tensor) -> None:
        groups = probabilities.unsqueeze(0)
        weights = group_weights(groups, self.strategy)
        fused = fuse(groups, self.strategy, weights)[0].argmax(0, keepdim=True)
        counts = confusion_matrix(fused, label[0], len(self.classes), self.ignore_index)
        self._scores[scale] = float(class_mean(class_iou(counts), self.include_background)[0])
        self._num_heads = len(probabilities)
        winners = winning_scale(groups, self.strategy, weights)[0]
        self._kept[scale] = {
            "images": _picture(self._shown(image, scale)),
            "labels": self._shown(label, scale)[0].numpy().astype(np.uint8),
            "predictions": self._shown(fused, scale)[0].numpy().astype(np.uint8),
            "winners": self._shown(winners, scale)[0].numpy().astype(np.uint8),
        }

    def _shown(self, values: torch.Tensor, scale: float) -> torch.Tensor:
        """The field in the middle of (C, H, W), resampled to the size of the pictures without mixing pixels."""
        height, width = values.shape[1:]
        field = min(round(self.field * scale), height, width)
        top, left = (height - field) // 2, (width - field) // 2
        piece = values[:, top : top + field, left : left + field]
        smooth = values.dtype.is_floating_point and field > self.side
        return resample(piece, (self.side, self.side), "bilinear" if smooth else "nearest")

    def finish(self, engine: Workflow) -> None:
        """Put the pictures into the engine's state; None where the image was not among those evaluated."""
        engine.state.scale_panels = self.panels()

    def panels(self) -> ScalePanels | None:
        """The pictures that were kept, by rising scale."""
        scales = tuple(sorted(self._kept))
        if not scales:
            return None
        names = ("images", "labels", "predictions", "winners")
        stacked = {name: np.stack([self._kept[scale][name] for scale in scales]) for name in names}
        scores = tuple(self._scores[scale] for scale in scales)
        return ScalePanels(scales=scales, scores=scores, num_heads=self._num_heads, classes=self.classes, **stacked)


def nearest_powers_of_two(scales: Sequence[float]) -> list[float]:
    """The test scales that lie nearest to the powers of two in their range, without repetition."""
    logs = np.log2(np.asarray(scales, dtype=float))
    powers = range(int(np.ceil(logs.min() - 1e-9)), int(np.floor(logs.max() + 1e-9)) + 1)
    chosen = {int(np.abs(logs - power).argmin()) for power in powers} or {int(np.abs(logs).argmin())}
    return [scales[index] for index in sorted(chosen)]


def _picture(image: torch.Tensor) -> np.ndarray:
    """(C, h, w) of any range -> (h, w, 3) uint8; values in [0, 1] keep their meaning."""
    values = image.float()
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    shown = (255 * (values - low) / (high - low)).round().to(torch.uint8)
    colours = shown[:3] if len(shown) >= 3 else shown[:1].expand(3, -1, -1)
    return colours.permute(1, 2, 0).numpy()
