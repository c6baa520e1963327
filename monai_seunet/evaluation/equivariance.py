"""Handler that measures the equivariance error of the evaluated network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.utils import CommonKeys
from torch import Tensor

from monai_seunet.metrics import measure_equivariance
from monai_seunet.metrics.equivariance import paired_sizes
from monai_seunet.utils.errors import InputError


@dataclass(eq=False)
class EquivarianceHandler:
    """Handler that measures the equivariance error at every test scale after an evaluation.

    It stores the result in `engine.state.equivariance`.

    Args:
        data: preprocessed items at scale 1.
        scales: zoom factors.
        largest: largest side in pixels of a crop, before and after zooming.
        multiple: `level_stride` of the network.
        max_images: largest number of images; the first images are used.
    """

    data: Sequence[Mapping[str, Any]]
    scales: Sequence[float]
    largest: int = 512
    multiple: int = 16
    max_images: int = 8

    def attach(self, engine: SupervisedEvaluator) -> None:
        """Attach the handler to an evaluator."""
        engine.add_event_handler(Events.STARTED, self.check)
        engine.add_event_handler(Events.COMPLETED, self)

    def check(self) -> None:
        """Check before the long evaluation that the crops fit the images.

        Raises:
            InputError: for an image that is too small; it names the size and the scale.
        """
        for image in self._images():
            for scale in self.scales:
                try:
                    paired_sizes(scale, self.largest, self.multiple, min(image.shape[-2:]))
                except ValueError as error:
                    raise InputError(f"{error}, or switch this measurement off with --equivariance false") from error

    def __call__(self, engine: SupervisedEvaluator) -> None:
        """Measure the error and store it."""
        engine.state.equivariance = measure_equivariance(
            engine.network,
            self._images(),
            self.scales,
            largest=self.largest,
            multiple=self.multiple,
            device=engine.state.device,
        )

    def _images(self) -> list[Tensor]:
        return [self.data[index][CommonKeys.IMAGE] for index in range(min(self.max_images, len(self.data)))]
