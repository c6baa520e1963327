"""Handler that measures the equivariance error of the network that an evaluator has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys

from monai_seunet.metrics import measure_equivariance


class EquivarianceHandler:
    """Measure the equivariance error at every test scale when the evaluation is done.

    The result is put into `engine.state.equivariance`.

    Args:
        data: preprocessed items at scale 1.
        scales: zooms.
        largest: side of the largest crop, zoomed or not, in pixels.
        multiple: total stride of the network.
        max_images: use this many of the first images.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        scales: Sequence[float],
        largest: int = 512,
        multiple: int = 16,
        max_images: int = 8,
    ) -> None:
        self.data = data
        self.scales = scales
        self.largest = largest
        self.multiple = multiple
        self.max_images = max_images

    def attach(self, engine: SupervisedEvaluator) -> None:
        """Follow an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: SupervisedEvaluator) -> None:
        """Measure."""
        count = min(self.max_images, len(self.data))
        images = [self.data[index][CommonKeys.IMAGE] for index in range(count)]
        engine.state.equivariance = measure_equivariance(
            engine.network,
            images,
            self.scales,
            self.largest,
            self.multiple,
            engine.state.device,
        )
