"""Nuclei of a fused prediction as an instance map, by the rules that slides are segmented with."""

from __future__ import annotations

import numpy as np
import torch

from monai_seunet.slides.nuclei.areas import CERTAIN, Maps
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.nuclei.rules import NucleusRules


class NucleusFinder:
    """Finds the nuclei of an image that was resized by a factor.

    Args:
        mpp: µm per pixel of the image as it was; None where nobody knows, then neither does the factor tell.
        rules: None for the usual ones.

    Raises:
        InputError: where `mpp` is not positive.
    """

    def __init__(self, mpp: float | None, rules: NucleusRules | None = None) -> None:
        self.mpp, self.rules = mpp, rules or NucleusRules()
        self._untold = self.rules.at_unknown()
        if mpp is not None:
            self.rules.at(mpp)

    def __call__(
        self,
        probabilities: torch.Tensor,
        scale: float = 1.0,
        directions: torch.Tensor | None = None,
    ) -> np.ndarray:
        """The instance map (H, W), int32, 0 is background.

        Args:
            probabilities: (N, H, W) of all classes.
            scale: factor of the image.
            directions: (2, H, W) to the centres; None for a watershed.
        """
        foreground = (probabilities[1:].detach().cpu() * CERTAIN).round().to(torch.uint8).numpy()
        towards = None
        if directions is not None:
            towards = (directions.detach().cpu().clamp(-1, 1) * ONE).round().to(torch.int8).numpy()
        rules = self._untold if self.mpp is None else self.rules.at(self.mpp / scale)
        found = find_nuclei(Maps(foreground, directions=towards), rules)
        return instance_map(found, foreground.shape[1:])


def instance_map(objects: Objects, shape: tuple[int, ...]) -> np.ndarray:
    """Number objects from 1 on in a map (H, W), int32, 0 is background; of two that overlap the later one is seen."""
    numbers = np.zeros(shape, np.int32)
    for number, (box, mask) in enumerate(zip(objects.boxes.tolist(), objects.masks, strict=True), start=1):
        numbers[box[0] : box[2], box[1] : box[3]][mask] = number
    return numbers
