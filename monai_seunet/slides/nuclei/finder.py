"""Instance maps of fused predictions, by the rules for slides."""

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
        mpp: µm per pixel of the image before resizing; None if not known, then the factor is not used.
        rules: rules in µm; None for the defaults.

    Raises:
        InputError: `mpp` is not positive.

    >>> probabilities = torch.zeros(2, 20, 20)
    >>> probabilities[1, 4:12, 5:15] = 1
    >>> int(NucleusFinder(mpp=0.5)(probabilities).max())
    1
    """

    def __init__(self, mpp: float | None, rules: NucleusRules | None = None) -> None:
        self.mpp, self.rules = mpp, rules or NucleusRules()
        if mpp is not None:
            self.rules.at(mpp)  # a wrong value is an error at once

    def __call__(
        self, probabilities: torch.Tensor, scale: float = 1.0, directions: torch.Tensor | None = None
    ) -> np.ndarray:
        """Return the instance map (H, W) int32; 0 is background.

        Args:
            probabilities: probabilities (N, H, W) of all classes.
            scale: factor by which the image was resized.
            directions: directions (2, H, W) to the centres; None for a watershed.
        """
        foreground = (probabilities[1:].detach().cpu() * CERTAIN).round().to(torch.uint8).numpy()
        towards = None
        if directions is not None:
            towards = (directions.detach().cpu().clamp(-1, 1) * ONE).round().to(torch.int8).numpy()
        rules = self.rules.at_unknown() if self.mpp is None else self.rules.at(self.mpp / scale)
        return instance_map(find_nuclei(Maps(foreground, directions=towards), rules), foreground.shape[1:])


def instance_map(objects: Objects, shape: tuple[int, ...]) -> np.ndarray:
    """Draw the numbers of objects, from 1 on, in a map (H, W) int32; the later of two overlapping objects wins."""
    numbers = np.zeros(shape, np.int32)
    for number, (box, mask) in enumerate(zip(objects.boxes.tolist(), objects.masks, strict=True), start=1):
        numbers[box[0] : box[2], box[1] : box[3]][mask] = number
    return numbers
