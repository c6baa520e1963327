"""Handler that measures the equivariance error of the network that an evaluator has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys
from torch import Tensor

from monai_seunet.metrics import measure_equivariance
from monai_seunet.metrics.equivariance import paired_sizes
from monai_seunet.utils.errors import InputError


class EquivarianceHandler:
    """Measure the equivariance error at every test scale when the evaluation is done.

    The result is put into `engine.state.equivariance`.

    Args:
        data: preprocessed items at scale 1.
        scales: zooms.
        largest: side of the largest crop, zoomed or not, in pixels.
        multiple: `level_stride` of the network.
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
        engine.add_event_handler(Events.STARTED, self.check)
        engine.add_event_handler(Events.COMPLETED, self)

    def check(self) -> None:
        """Refuse crops that do not fit the images before the long evaluation, and not after it.

        Raises:
            InputError: naming the size and the scale.
        """
        for image in self._images():
            for scale in self.scales:
                try:
                    paired_sizes(scale, self.largest, self.multiple, min(image.shape[-2:]))
                except ValueError as error:
                    raise InputError(f"{error}, or leave the measure out by --equivariance false") from error

    def __call__(self, engine: SupervisedEvaluator) -> None:
        """Measure."""
        engine.state.equivariance = measure_equivariance(
            engine.network,
            self._images(),
            self.scales,
            self.largest,
            self.multiple,
            engine.state.device,
        )

    def _images(self) -> list[Tensor]:
        return [self.data[index][CommonKeys.IMAGE] for index in range(min(self.max_images, len(self.data)))]
